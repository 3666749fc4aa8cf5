"""Metadata: what ls, find, stat and du wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from bench.budget import Budget, Calls
from bench.measure import eventually
from bench.workload import FEW, Limits, Place, Start, Workload
from bench.workloads.data import fill, spread
from tests.support.box import Box

STATS = 100_000
EDITS = 2  # rclone asks once a minute


HELD_BY_TWIN = "tests/bench/test_budgets.py::test_a_row_keeps_to_its_budget"


def spread_of(full: tuple[int, int], small: tuple[int, int]) -> Callable[[Box, bool], None]:
    """(folders, files in each), made straight in the server."""
    return lambda box, fast: spread(box, *(small if fast else full))


def ls(place: Place) -> None:
    place.sh("ls -lR")


def _du(place: Place) -> None:
    place.sh("du -s .")


def _stat(place: Place) -> None:
    path = os.fspath(place.path / "d000000/f00000.dat")
    for _ in range(STATS // 100 if place.quick else STATS):
        os.stat(path)


def _edit_many(place: Place) -> None:
    """1,000 edits by someone else, while nobody is mounted."""
    items = [path for path in place.box.tree() if path.endswith(".dat")][: 50 if place.quick else 1000]
    for path in items:
        edit = {"do": "edit", "path": path, "content": f"edited {place.system.name} {time.time_ns()} " * 3}
        place.box.call("POST", "/_emulator/act", json=edit)


def _edited_is_seen(place: Place) -> list[float]:
    """Someone else edits some files, one after the other; how long each took to show, through the kernel's caches."""
    found = []
    for number in range(1 if place.quick else EDITS):
        path = place.path / f"f{number:05d}.txt"
        path.read_bytes()
        new = f"{place.system.name} {number} ".encode() * (30 + number)
        begun = time.perf_counter()
        edit = {"do": "edit", "path": f"/data/f{number:05d}.txt", "content": new.decode()}
        place.box.call("POST", "/_emulator/act", json=edit)
        eventually(lambda path=path, new=new: path.read_bytes() == new, "an edit is seen", step_s=0.01)  # type: ignore[misc]
        found.append(time.perf_counter() - begun)
    return found


def known(place: Place) -> None:
    place.sh("ls -lR")
    place.sh("ls -lR")


_HUNDRED = spread_of((100, 50), (10, 10))
_TEN_THOUSAND = spread_of((100, 100), (4, 20))
_TWELVE_THOUSAND = spread_of((1, 12_000), (1, 1_200))
_NOTHING = Budget(Calls(0), Calls(0))
_HELD = "tests/mount/test_read_budgets.py::"

WORKLOADS = (
    Workload("lslr-cold-50ms", "metadata", "`ls -lR` of 100 folders x 50 files, cold, 50 ms", ls, goal=6,
             account="5000", prepare=_HUNDRED, latency_s=0.05, budget=Budget(Calls(102), Calls(12)),
             limits=Limits("a folder is known only when its parent's listing is here; then 24 at once", waves=7)),
    Workload("lslr-cold", "metadata", "`ls -lR` of 100 folders x 50 files, cold, 0 ms",
             ls, account="5000", prepare=_HUNDRED, home="listed",
             budget=Budget(Calls(102), Calls(12)), held_by=HELD_BY_TWIN + "[lslr-cold-50ms]",
             limits=Limits("JSON of 5,000 entries, made and read, and their rows in SQLite")),
    Workload("lslr-remount", "metadata", "`ls -lR` of 100 folders x 50 files, after a remount, 50 ms",
             ls, Start.AGAIN, account="5000",
             home="listed", prepare=_HUNDRED, warm=ls, latency_s=0.05, budget=_NOTHING,
             limits=Limits("requests of the kernel, answered from SQLite")),
    Workload("lslr-remount-changed", "metadata",
             "`ls -lR` of 100 folders x 50 files, after a remount and 1,000 edits by others, 50 ms",
             ls,
             Start.AGAIN, account="5000", home="listed", prepare=_HUNDRED, warm=ls, between=_edit_many, latency_s=0.05,
             budget=_NOTHING, limits=Limits("pages of events, one after the other", waves=2)),
    Workload("lslr-warm", "metadata", "`ls -lR` of 100 folders x 50 files, warm, 50 ms",
             ls, Start.WARM, account="5000", home="listed",
             prepare=_HUNDRED, warm=known, latency_s=0.05, budget=_NOTHING,
             limits=Limits("entries that the kernel asks for, or `ls` itself where it keeps them")),
    Workload("stat-100000", "metadata", "`stat` of one file, 100,000 times", _stat, Start.WARM, account="5000",
             home="listed", prepare=_HUNDRED, warm=known, budget=_NOTHING,
             limits=Limits("the system call; nothing reaches the daemon")),
    Workload("ls-12000", "metadata", "`ls -l` of 12,000 files, cold, 0 ms", ls, goal=1,
             account="12000", prepare=_TWELVE_THOUSAND, budget=Budget(Calls(14), Calls(4)),
             limits=Limits("JSON of 12 pages, made by one process, read by another")),
    Workload("ls-12000-50ms", "metadata", "`ls -l` of 12,000 files, cold, 50 ms", ls, latency_s=0.05,
             account="12000", prepare=_TWELVE_THOUSAND, budget=Budget(Calls(14), Calls(4)),
             held_by=HELD_BY_TWIN + "[ls-12000]",
             limits=Limits("the first page tells how many there are, then the others at once", waves=4)),
    Workload("ls-50000", "metadata", "`ls -l` of 50,000 files, cold, 0 ms", ls,
             rounds=FEW, prepare=spread_of((1, 50_000), (1, 2_000)), budget=Budget(Calls(52), Calls(4)),
             limits=Limits("JSON of 50 pages")),
    Workload("edit-seen", "metadata", "an edit by someone else is seen (2 of them)", _edited_is_seen, Start.WARM,
             prepare=lambda box, _fast: fill(box, 5, 0, 300), warm=ls, rounds=1,
             budget=Budget(Calls(2 * EDITS, 2 * EDITS), Calls(2, 2)),
             held_by=_HELD + "test_a_change_made_elsewhere_costs_two_calls_however_large_the_folder",
             limits=Limits("one long poll, one GET of events", disk=False)),
    Workload("du-10k", "metadata", "`du` of 10,000 files in 100 folders, cold", _du, account="10k", home="walked",
             prepare=_TEN_THOUSAND, budget=Budget(Calls(102), Calls(6)), limits=Limits("one listing a folder")),
    Workload("du-10k-warm", "metadata", "`du` of 10,000 files in 100 folders, warm",
             _du, Start.WARM, account="10k", home="walked",
             warm=_du, prepare=_TEN_THOUSAND, budget=_NOTHING, limits=Limits("the kernel's walk")),
)  # fmt: skip
