"""Metadata: what ls, find, stat and du wait for."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable

from bench.budget import Budget, Calls
from bench.measure import eventually
from bench.workload import FEW, LONGEST_S, Limits, Place, Start, Workload
from bench.workloads.data import spread
from tests.support.box import Box

STATS = 100_000
EDITS = 1_000
SIZES = "sizes.json"  # what `ls` has to show

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
    """Someone else edits 1,000 files, once a round, while nobody is mounted; none keeps its size."""
    items = sorted(path for path in place.box.tree() if path.endswith(".dat"))[: 50 if place.quick else EDITS]
    for number, path in enumerate(items if place.first else ()):
        edit = {"do": "edit", "path": path, "content": "e" * (2 + (number + 7 * place.turn) % 90)}
        place.box.call("POST", "/_emulator/act", json=edit)
    top = f"{place.remote}/"
    sizes = {f"/{p.removeprefix(top)}": e.size for p, e in place.box.tree().items() if e.kind == "file"}
    (place.scratch / SIZES).write_text(json.dumps(sizes))


def _ls_until_all_show(place: Place) -> float:
    """`ls -lR`, again where it came before the news; how long until one showed every size as it is at Box."""
    told = place.scratch / SIZES
    expected = json.loads(told.read_text()) if told.exists() else None  # None: a local disk, which nobody edits
    begun = time.perf_counter()

    def shows() -> float:
        command, env = ["ls", "-lR"], os.environ | {"LC_ALL": "C"}
        done = subprocess.run(
            command, cwd=place.path, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=LONGEST_S
        )
        took = time.perf_counter() - begun
        return took if expected is None or sizes_in(done.stdout) == expected else 0.0

    return float(eventually(shows, "every edit shows", step_s=0.0))


def sizes_in(listing: str) -> dict[str, int]:
    """Path -> size of the files that `ls -lR` shows."""
    found, folder = {}, ""
    for line in listing.splitlines():
        if line.endswith(":"):
            folder = line[1:-1]
        elif line.startswith("-"):
            fields = line.split(None, 8)
            found[f"{folder}/{fields[8]}"] = int(fields[4])
    return found


def known(place: Place) -> None:
    place.sh("ls -lR")
    place.sh("ls -lR")


_HUNDRED = spread_of((100, 50), (10, 10))
_TEN_THOUSAND = spread_of((100, 100), (4, 20))
_TWELVE_THOUSAND = spread_of((1, 12_000), (1, 1_200))
_FIFTY_THOUSAND = spread_of((1, 50_000), (1, 2_000))
_NOTHING = Budget(Calls(0), Calls(0))

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
             home="listed", prepare=_HUNDRED, warm=ls, latency_s=0.05, listening=True, from_mount=True, trailing_s=1.2,
             budget=Budget(Calls(3), Calls(3)), limits=Limits("requests of the kernel, answered from SQLite")),
    Workload("lslr-remount-changed", "metadata",
             "`ls -lR` of 100 folders x 50 files, after a remount and 1,000 edits by others, all of them shown, 50 ms",
             _ls_until_all_show,
             Start.AGAIN, account="5000", home="listed", prepare=_HUNDRED, warm=ls, between=_edit_many, latency_s=0.05,
             listening=True, from_mount=True, trailing_s=1.2, budget=Budget(Calls(4), Calls(3)),
             limits=Limits("pages of up to 500 events, one after the other", waves=2)),
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
             rounds=FEW, account="50000", prepare=_FIFTY_THOUSAND, budget=Budget(Calls(52), Calls(4)),
             limits=Limits("JSON of 50 pages")),
    Workload("ls-50000-50ms", "metadata", "`ls -l` of 50,000 files, cold, 50 ms", ls, latency_s=0.05,
             rounds=FEW, account="50000", prepare=_FIFTY_THOUSAND, budget=Budget(Calls(52), Calls(4)),
             held_by=HELD_BY_TWIN + "[ls-50000]",
             limits=Limits("the first page tells how many there are, then 24 at once", waves=6)),
    Workload("du-10k", "metadata", "`du` of 10,000 files in 100 folders, cold", _du, account="10k", home="walked",
             prepare=_TEN_THOUSAND, budget=Budget(Calls(102), Calls(6)), limits=Limits("one listing a folder")),
    Workload("du-10k-warm", "metadata", "`du` of 10,000 files in 100 folders, warm",
             _du, Start.WARM, account="10k", home="walked",
             warm=_du, prepare=_TEN_THOUSAND, budget=_NOTHING, limits=Limits("the kernel's walk")),
)  # fmt: skip
