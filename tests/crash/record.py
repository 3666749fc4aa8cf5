"""Runs every workload once and leaves what it promised in FOLDER/runs.

strace … python -m tests.crash.record FOLDER [WORKLOAD...]
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from tests.crash.shell import Run, Shell
from tests.crash.workloads import WORKLOADS


def main() -> None:
    folder = Path(sys.argv[1])
    marks = os.open(os.devnull, os.O_WRONLY)
    runs: list[Run] = []
    for workload in WORKLOADS:
        name = workload.__name__
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        (folder / name).mkdir()
        shell = Shell(name, folder / name, marks)
        workload(shell)
        runs.append(shell.run)
    (folder / "runs").write_bytes(pickle.dumps(runs))


if __name__ == "__main__":
    main()
