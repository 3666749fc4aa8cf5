"""A process that is killed, or whose machine loses power, at any system call that changes the disk, loses no promise.

Every workload of `workloads.py` runs once under strace.  From the calls the disk is laid out as it was before each of
them, less what the crash takes (`disk.Loss`), and a mount begins there, with Box as it was then (`restart.check`).

A fixed choice of the crashes is tried here; all of them with BOXFS_ALL_CRASHES=1 (pytest -s tells the count).
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.crash.crashing import Chosen, crash_at, points
from tests.crash.disk import Disk, Loss, lay_out
from tests.crash.recording import CannotTrace, Mark, Recorded, record
from tests.crash.restart import check
from tests.crash.workloads import WORKLOADS

ALL = bool(os.environ.get("BOXFS_ALL_CRASHES"))
STRIDE = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if ALL else 300)]

counts: dict[str, tuple[int, int]] = {}  # crash points, crashes


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Recorded]]:
    folder = tmp_path_factory.mktemp("recorded")
    try:
        found = record(folder)
    except CannotTrace as error:
        pytest.skip(str(error))
    yield {one.run.name: one for one in found}
    print(f"\n{sum(p for p, _ in counts.values())} crash points, {sum(c for _, c in counts.values())} crashes")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory where the machine has room there: what is laid out is thrown away at once."""
    memory = Path("/dev/shm")
    try:
        room = os.statvfs(memory)
        roomy = room.f_bavail * room.f_frsize > 32 << 20 and os.access(memory, os.W_OK)
    except OSError:
        roomy = False
    with tempfile.TemporaryDirectory(dir=memory if roomy else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", [workload.__name__ for workload in WORKLOADS])
def test_a_crash_at_any_system_call_loses_nothing(name: str, recordings: dict[str, Recorded], place: Path) -> None:
    recorded = recordings[name]
    chosen = Chosen(1 if ALL else STRIDE)
    crashes, wrong = crash_at(recorded, chosen, place)
    counts[name] = len(chosen.points), crashes
    assert not wrong, f"{len(wrong)} of {crashes}:\n" + "\n".join(wrong[:20])
    assert crashes >= 40


def test_there_are_enough_crash_points(recordings: dict[str, Recorded]) -> None:
    """The promise of docs/ARCHITECTURE.md."""
    assert len(recordings) >= 12
    chosen = 0
    for recorded in recordings.values():
        choice = Chosen(STRIDE)
        chosen += sum(any(choice(recorded, point, loss) for loss in point.losses()) for point in points(recorded))
    assert chosen >= 1000


def test_every_point_is_before_one_call(recordings: dict[str, Recorded]) -> None:
    for recorded in recordings.values():
        found = points(recorded)
        assert all(a.at <= b.at for a, b in pairwise(found))
        assert sum(point.following is not None for point in found) > 30


@pytest.mark.parametrize("missing", ["spool/", "state/state.db-wal"])
def test_what_is_missing_would_be_noticed(missing: str, recordings: dict[str, Recorded], place: Path) -> None:
    recorded = recordings["small_files"]
    synced = next(n for n, operation in enumerate(recorded.run.operations) if operation.synced)
    point = next(point for point in points(recorded) if point.moment.done >= synced)
    disk = Disk(recorded.run.base)
    for step in recorded.steps[: point.at]:
        if not isinstance(step, Mark):
            disk.take(step)
    left = disk.left(Loss.UNSYNCED, None, random.Random(1))
    lay_out(left, place / "all")
    check(recorded.run, place / "all", point.moment, Loss.UNSYNCED)
    lay_out({path: data for path, data in left.items() if not path.startswith(missing)}, place / "less")
    with pytest.raises(AssertionError, match="fsynced bytes are lost"):
        check(recorded.run, place / "less", point.moment, Loss.UNSYNCED)
