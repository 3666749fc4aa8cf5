"""scripts/bench: boxfs and `rclone mount` side by side, on the emulator."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench import plot, report, results
from bench.runner import Runner, say
from bench.surroundings import island_folder, move_to_island
from bench.workloads import ALL

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "PERFORMANCE.md"


def main() -> int:
    options = _options()
    if options.list:
        sys.stdout.writelines(f"{one.name:24} {one.group:10} {one.title}\n" for one in ALL)
        return 0
    if options.tables:
        _publish(results.merge(HERE / "results.json", {}, [one.name for one in ALL]))
        return 0
    folder = island_folder()
    if folder is None:
        move_to_island(Path(tempfile.mkdtemp(prefix="boxfs-bench-", dir=os.environ.get("TMPDIR"))), sys.argv[1:])
        raise AssertionError("exec came back")
    try:
        return _run(options, folder)
    finally:
        if not any(os.path.ismount(mount) for mount in folder.glob("*/*/mnt")):
            shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> int:
    known = {one.name: one for one in ALL} | {one.group: None for one in ALL}
    if unknown := [name for name in options.workloads if name not in known]:
        say(f"no workload or group is called {', '.join(unknown)}; `scripts/bench --list` tells which there are")
        return 2
    chosen = [one for one in ALL if not options.workloads or {one.name, one.group} & set(options.workloads)]
    runner = Runner(folder, rounds=options.rounds, quick=options.quick, only=options.only)
    rows: dict[str, results.Row] = {}
    for workload in chosen:
        rows[workload.name] = row = results.row(workload, runner.measure(workload))
        for name in ("boxfs", "rclone"):
            if side := row.get(name):
                say(
                    f"{workload.name:22} {name:7} {side['wall_s']:9.4f} s (+{side['settled_s']:.2f}) "
                    f"{side['calls']:5.0f}+{side['listening']:.0f} calls {side['downloads']:5.0f} dl "
                    f"{side['received_mib']:7.1f} MiB "
                    f"{side['peak_mib']:4.0f} MiB cpu {side['cpu_s']:.2f} server {side['server_cpu_s']:.2f}"
                )
        if not options.quick and options.only is None:  # kept at once: a long run may be cut short
            found = results.merge(HERE / "results.json", {workload.name: row}, [one.name for one in ALL])
    if not options.quick and options.only is None:
        _publish(found)
    failed = [name for name, row in rows.items() if "boxfs" not in row]
    return 1 if failed and options.only != "rclone" else 0


def _publish(found: dict[str, object]) -> None:
    report.write(DOCUMENT, found)
    plot.write(DOCUMENT.parent / "images" / "performance.svg", found)
    say(f"wrote {DOCUMENT.name}, results.json and performance.svg")


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    made.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names or groups; none: all")
    made.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each, boxfs and rclone in turn (5)")
    made.add_argument(
        "--quick", action="store_true", help="one round, a tenth of the size, nothing written: does it run?"
    )
    made.add_argument("--only", choices=["boxfs", "rclone"], help="one system; nothing is written")
    made.add_argument("--list", action="store_true", help="the workloads")
    made.add_argument("--tables", action="store_true", help="write the tables anew from results.json")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
