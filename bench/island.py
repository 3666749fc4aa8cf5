"""Where a benchmark runs: an island of its own, on which the hosts of Box are this machine.

Network, mounts and processes are the island's own: when the process that leads it ends, in whatever way, all that ran
and all that was mounted there is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

HOSTS = ("api.box.com", "upload.box.com", "account.box.com", "dl.boxcloud.com")
_MARK = "BOXFS_BENCH_ISLAND"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_ENDED = 130


def folder() -> Path | None:
    """The folder that the island was made with; None outside."""
    told = os.environ.get(_MARK)
    return Path(told) if told else None


def run(words: Sequence[str]) -> int:
    """Run `python -m bench WORDS` on an island; return its exit code.  Ctrl-C ends the island.  Needs root."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    place = Path(tempfile.mkdtemp(prefix="boxfs-bench-", dir=os.environ.get("TMPDIR")))
    try:
        (place / "hosts").write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n")
        return _run(place, words)
    except KeyboardInterrupt:
        return _ENDED
    finally:
        shutil.rmtree(place, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def _run(place: Path, words: Sequence[str]) -> int:
    script = f"ip link set lo up && mount --make-rprivate / && mount --bind '{place}/hosts' /etc/hosts && exec \"$@\""
    env = {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES} | {_MARK: str(place)}
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # a bench that is killed takes its island with it
        *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("sh", "-c", script, "sh", sys.executable, "-m", "bench", *words),
    ]
    process = subprocess.Popen(command, env=env)
    try:
        return process.wait()
    finally:
        process.kill()  # the island's first process dies with it, and everything else with that one
        process.wait()
