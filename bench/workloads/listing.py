"""Metadata: what ls, find, stat and du wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from bench.measure import eventually
from bench.workload import Place, Start, Workload
from bench.workloads.data import fill, spread
from tests.support.box import Box

STATS = 100_000


def _spread(folders: int, files: int, quick: tuple[int, int]) -> Callable[[Box, bool], None]:
    return lambda box, fast: spread(box, *(quick if fast else (folders, files)))


def _ls(place: Place) -> None:
    place.sh("ls -lR")


def _find(place: Place) -> None:
    place.sh("find .")


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
    """Someone else edits five files, ten seconds apart; how long each took to show, through the kernel's caches."""
    found = []
    for number in range(1 if place.quick else 5):
        path = place.path / f"f{number:05d}.txt"
        path.read_bytes()
        new = f"{place.system.name} {number} ".encode() * (30 + number)
        begun = time.perf_counter()
        edit = {"do": "edit", "path": f"/data/f{number:05d}.txt", "content": new.decode()}
        place.box.call("POST", "/_emulator/act", json=edit)
        eventually(lambda path=path, new=new: path.read_bytes() == new, "an edit is seen", step_s=0.01)  # type: ignore[misc]
        found.append(time.perf_counter() - begun)
    return found


def _known(place: Place) -> None:
    place.sh("ls -lR")
    place.sh("ls -lR")


_HUNDRED = _spread(100, 50, (10, 10))
_ASKS = "one listing a folder"

WORKLOADS = (
    Workload("lslr-cold-50ms", "metadata", "`ls -lR` of 100 folders x 50 files, cold, 50 ms", _ls, prepare=_HUNDRED,
             latency_s=0.05, goal=6, max_calls=102,
             limit="waves of listings in parallel: a folder is known only when its parent's listing is here"),
    Workload("lslr-cold", "metadata", "the same, cold, 0 ms", _ls, prepare=_HUNDRED, max_calls=102,
             limit="JSON of 5,000 entries, made and read"),
    Workload("lslr-warm", "metadata", "the same again, warm, 50 ms", _ls, Start.WARM, prepare=_HUNDRED, warm=_known,
             latency_s=0.05, max_calls=0, limit="`ls` itself"),
    Workload("lslr-remount", "metadata", "the same after unmount and mount, 50 ms", _ls, Start.AGAIN, prepare=_HUNDRED,
             warm=_ls, latency_s=0.05, max_calls=3, limit="requests of the kernel, answered from memory"),
    Workload("lslr-remount-changed", "metadata", "the same, 1,000 files edited by others meanwhile, 50 ms", _ls,
             Start.AGAIN, prepare=_HUNDRED, warm=_ls, between=_edit_many, latency_s=0.05, max_calls=3,
             limit="pages of events, one after the other"),
    Workload("ls-12000", "metadata", "`ls -l` of 12,000 files in a folder, cold, 0 ms", _ls, goal=1,
             prepare=_spread(1, 12_000, (1, 1_200)), limit="JSON of 12 pages, made by one process, read by another"),
    Workload("ls-12000-50ms", "metadata", "`ls -l` of 12,000 files, cold, 50 ms", _ls, latency_s=0.05,
             prepare=_spread(1, 12_000, (1, 1_200)), limit="the first page, then the others in parallel"),
    Workload("ls-50000", "metadata", "`ls -l` of 50,000 files, cold, 0 ms", _ls, big=True,
             prepare=_spread(1, 50_000, (1, 2_000)), limit="JSON of 50 pages"),
    Workload("stat-100000", "metadata", "`stat` of one file, 100,000 times", _stat, Start.WARM, prepare=_HUNDRED,
             warm=_known, max_calls=0, limit="the system call; nothing reaches the daemon"),
    Workload("edit-seen", "metadata", "an edit by someone else is seen (5 of them)", _edited_is_seen, Start.WARM,
             prepare=lambda box, _fast: fill(box, 5, 0, 300), warm=_ls, rounds=1,
             limit="one long poll, one GET of events"),
    Workload("find-1k", "metadata", "`find` over 1,000 files in 10 folders, cold", _find,
             prepare=_spread(10, 100, (2, 20)), limit=_ASKS),
    Workload("find-10k", "metadata", "`find` over 10,000 files in 100 folders, cold", _find,
             prepare=_spread(100, 100, (4, 20)), limit=_ASKS),
    Workload("find-100k", "metadata", "`find` over 100,000 files in 1,000 folders, cold", _find, big=True,
             prepare=_spread(1000, 100, (8, 20)), limit=_ASKS),
    Workload("du-10k", "metadata", "`du` of 10,000 files in 100 folders, cold", _du,
             prepare=_spread(100, 100, (4, 20)), limit=_ASKS),
    Workload("du-10k-warm", "metadata", "`du` of the same, warm", _du, Start.WARM, warm=_du,
             prepare=_spread(100, 100, (4, 20)), max_calls=0, limit="the kernel's walk"),
)  # fmt: skip
