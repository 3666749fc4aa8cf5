"""Where boxfs spends its time in a workload: py-spy beside the daemon, as a flame graph and a table of functions.

`py-spy record --nonblocking` looks at the daemon two hundred times a second without stopping it; threads that wait are
not counted.  One run of a few tenths of a second says little, so the samples of all rounds are added.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import account, flame
from bench.runner import Runner, say
from bench.systems import Boxfs, System
from bench.workload import Workload

HOTTEST = ("ls-12000", "seq-cold", "rsync-200")
"""The paths of which a profile is kept: many entries, much data, many small changes."""
RATE = 200
TOP = 15
HEAD = """# Profiles

Where the mount's process spends its time in the hottest workloads, written by `sudo scripts/bench --profile`. Samples
of threads that run, {rate} a second, of all runs together; one that waits for the interpreter counts as running. *Own*
is the share in which the function itself ran, *with calls* that in which it or what it called did. What was done about
it stands in [PERFORMANCE.md](../PERFORMANCE.md).
"""


def write(folder: Path, workloads: Sequence[Workload], rounds: int, out: Path) -> int:
    """A flame graph for each workload and one table for all of them, in `out`."""
    program = _py_spy()
    if program is None:
        say("py-spy is not installed: .venv/bin/pip install py-spy")
        return 2
    stacks: Counter[str] = Counter()

    @contextlib.contextmanager
    def watched(system: System) -> Iterator[None]:
        with _record(program, system.pid, folder / "stacks") as found:
            yield
        stacks.update(found)

    runner = Runner(
        folder,
        {"boxfs": lambda home, at, one: Boxfs(home, at, one.boxfs)},
        account.as_box,
        rounds=rounds,
        around=watched,
    )
    out.mkdir(exist_ok=True)
    text, failed = HEAD.format(rate=RATE), False
    for workload, found in runner.run(workloads):
        for failure in found.failures:
            failed = True
            say(f"{workload.name}: {failure}")
        if stacks:
            cpu = sorted(sample.cpu_s for sample in found.samples["boxfs"])
            text += f"\n## {workload.title}\n\n![flame graph]({workload.name}.svg)\n\n"
            text += f"{sum(stacks.values())} samples of {rounds} runs, {cpu[len(cpu) // 2]:.2f} s of CPU each.\n\n"
            text += flame.table(stacks, TOP)
            (out / f"{workload.name}.svg").write_text(flame.svg(stacks, workload.title.replace("`", "")))
            say(f"{workload.name}: {sum(stacks.values())} samples")
        stacks.clear()
    (out / "README.md").write_text(text)
    say(f"wrote {out}")
    return int(failed)


@contextlib.contextmanager
def _record(program: str, pid: int, file: Path) -> Iterator[Counter[str]]:
    """Samples of a process for the length of a block: filled when it ends."""
    command = [program, "record", "--pid", str(pid), "--nonblocking", "--function", "--rate", str(RATE)]
    command += ["--format", "raw", "--output", str(file)]
    file.unlink(missing_ok=True)
    found: Counter[str] = Counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Sampling process" in line:
                break
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    if file.exists():
        for line in file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            found[stack] += int(count)


def _py_spy() -> str | None:
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")
