"""A million items in 20,000 folders: `python -m bench.million [FOLDERS [FILES]]`, as root.  Takes some minutes.

What a mount of them takes in memory and on disk, how soon it is there again after an unmount, and what a stat takes.
The items are made straight in the emulator, over plain HTTP on this machine; nothing else runs meanwhile, please.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import MIB, cpu_s, forget_peak, peak_mib
from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted

STATS = 2000


def main(folders: int, files: int) -> None:
    with tempfile.TemporaryDirectory(prefix="boxfs-million-") as home, EmulatorProcess(Path(home, "box")) as server:
        box = Box(server.url)
        made = box.bulk(folders=folders, files=files, size=1, under="/data")
        _tell("items at Box", f"{made:,}")
        mount = Mounted(server.url, Path(home, "here"), env={"BOXFS_LOG_LEVEL": "info"})
        try:
            _measure(mount, box, folders)
        finally:
            mount.close()
            box.close()


def _measure(mount: Mounted, box: Box, folders: int) -> None:
    data = mount.path / "data"
    paths = [data / f"{n // 100:04d}/d{n:06d}/f00007.dat" for n in range(0, folders, max(1, folders // STATS))]
    _walk(mount, box, data, "`find`, cold")
    begun = time.perf_counter()
    _unmount(mount)
    _tell("unmount", f"{time.perf_counter() - begun:.2f} s")
    state = sum(file.stat().st_size for file in (mount.cache_dir / "state").iterdir())
    _tell("on disk", f"{state / MIB:.0f} MiB")
    box.clear_log()
    _tell("mount again, and the first `ls`", f"{_timed(lambda: _start(mount)):.2f} s")
    _tell("resident then", f"{_resident_mib(mount.pid):.0f} MiB")
    _tell("`stat` of one file, nothing in memory", f"{_timed(lambda: os.stat(paths[-1])) * 1e3:.2f} ms")
    each = sorted(_timed(lambda path=path: os.stat(path)) for path in paths[:-1])  # type: ignore[misc]
    _tell(f"the same of {len(each):,} more, each in a folder of its own", _spread(each))
    warm = sorted(_timed(lambda path=path: os.stat(path)) for path in paths)  # type: ignore[misc]
    _tell("the same again", _spread(warm))
    _walk(mount, box, data, "`find`, all known")
    calls = {name: count for name, count in box.calls().items() if "/2.0/" in name and "/events" not in name}
    _tell("calls to Box since it was mounted again, but for events", str(sum(calls.values())))
    _unmount(mount)


def _start(mount: Mounted) -> None:
    mount.start()
    os.listdir(mount.path)


def _unmount(mount: Mounted) -> None:
    done = mount.unmount()
    assert done.returncode == 0, done.stderr


def _walk(mount: Mounted, box: Box, data: Path, what: str) -> None:
    forget_peak(mount.pid)
    busy = cpu_s(mount.pid)
    box.clear_log()
    found = 0

    def walk() -> None:
        nonlocal found
        names = subprocess.run(["find", "."], cwd=data, stdout=subprocess.PIPE, check=True).stdout
        found = names.count(b"\n")

    took = _timed(walk)
    calls = sum(count for name, count in box.calls().items() if name.endswith("/items"))
    _tell(
        what,
        f"{found:,} names, {took:.1f} s, {cpu_s(mount.pid) - busy:.1f} s of CPU, {calls:,} listings; "
        f"peak {peak_mib(mount.pid):.0f} MiB, afterwards {_resident_mib(mount.pid):.0f} MiB",
    )


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _spread(times: list[float]) -> str:
    return f"{times[len(times) // 2] * 1e6:.0f} us (median), {times[len(times) * 99 // 100] * 1e6:.0f} us (99 %)"


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def _tell(what: str, value: str) -> None:
    sys.stdout.write(f"{what}: {value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:]] or (20_000, 50))
