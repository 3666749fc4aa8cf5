"""How a step grows from a thousand files to a hundred thousand, a hundred to a folder."""

from __future__ import annotations

from bench.budget import Budget, Calls
from bench.workload import FEW, Limits, Place, Start, Workload
from bench.workloads.listing import HELD_BY_TWIN, known, ls, spread_of

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
IN_A_FOLDER = 100


def _find(place: Place) -> None:
    place.sh("find .")


def _rows(name: str, files: int) -> tuple[Workload, ...]:
    folders = files // IN_A_FOLDER
    small = max(folders // 10, 2)
    groups = folders // 100 if folders > 100 else 0
    prepare = spread_of((folders, IN_A_FOLDER), (small, 20))
    rounds = FEW if files > 10_000 else None
    long, disk = f"{files:,} files in {folders:,} folders", files <= 10_000

    def twin(step: str) -> str:
        return "" if name == "1k" else f"{HELD_BY_TWIN}[{step}-1k]"

    return (
        Workload(f"find-{name}", "scale", f"`find` over {long}, cold", _find, account=name, home="walked",
                 prepare=prepare, limited=files <= 10_000, rounds=rounds,
                 scale=("`find`, cold", files), held_by=twin("find"),
                 budget=Budget(Calls(folders + groups + 2, mib=1 + files / 10_000), Calls(small + 2)),
                 limits=Limits("one listing a folder", disk=disk)),
        Workload(f"remount-{name}", "scale", f"`ls -lR` of {long}, after unmount and mount", ls, Start.AGAIN,
                 account=name, home="walked", prepare=prepare, warm=_find, limited=files <= 10_000, rounds=rounds,
                 scale=("`ls -lR` after a remount", files), held_by=twin("remount"),
                 budget=Budget(Calls(0), Calls(0)), limits=Limits("rows of SQLite", disk=disk)),
        Workload(f"warm-{name}", "scale", f"`ls -lR` of {long}, warm", ls, Start.WARM,
                 account=name, home="walked", prepare=prepare, warm=known, limited=files <= 10_000, rounds=rounds,
                 scale=("`ls -lR`, warm", files), held_by=twin("warm"),
                 budget=Budget(Calls(0), Calls(0)), limits=Limits("requests of the kernel", disk=disk)),
    )  # fmt: skip


WORKLOADS = tuple(row for name, files in SIZES.items() for row in _rows(name, files))
