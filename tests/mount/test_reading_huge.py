"""A file much larger than memory and cache: what the mount takes of both while it is read through.

BOXFS_HUGE_GIB=20 pytest tests/mount/test_reading_huge.py: so large instead of one GiB (20 GiB: two minutes).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = [pytest.mark.fuse, pytest.mark.slow]

MIB = 1 << 20
GIB = int(os.environ.get("BOXFS_HUGE_GIB", "1"))
CACHE, WINDOW = 128 * MIB, 32 * MIB  # the window: ReadingOptions.largest_window
MEMORY = 128 * MIB  # ReadingOptions.memory_bytes


def memory(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {what}")


def disk(folder: Path) -> int:
    """What the blocks take (all but the accounting)."""
    taken = 0
    for path in folder.glob("s*/*/*"):
        try:
            taken += path.stat().st_blocks * 512
        except FileNotFoundError:  # evicted just now
            continue
    return taken


@pytest.mark.timeout(180 + 60 * GIB)
def test_memory_and_cache_stay_bounded_while_a_huge_file_is_read(box: Box, tmp_path: Path) -> None:
    size = GIB << 30
    box.bulk([("/huge", size)])
    with Mounted(box.url, tmp_path, options=[f"cache_size={CACHE // MIB}M"]) as mounted:
        before = memory(mounted.pid, "VmRSS")
        command = ["dd", f"if={mounted.path / 'huge'}", "of=/dev/null", "bs=1M", "status=none"]  # EIO: wrong bytes
        most = 0
        with subprocess.Popen(command) as reading:
            while reading.poll() is None:
                most = max(most, disk(mounted.cache_dir / "blocks"))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    reading.wait(0.05)
        assert reading.returncode == 0
        assert most <= CACHE + WINDOW
        assert disk(mounted.cache_dir / "blocks") <= CACHE
        grown = memory(mounted.pid, "VmHWM") - before
        print(f"memory +{grown / MIB:.0f} MiB on {before / MIB:.0f}, cache at most {most / MIB:.1f} MiB")
        assert grown <= MEMORY + WINDOW
