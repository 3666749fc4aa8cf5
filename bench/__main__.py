"""scripts/bench: boxfs and `rclone mount` side by side, on the emulator."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from bench import account, island, plot, profile, report, results
from bench.progress import Progress
from bench.runner import Found, Runner, Systems, say
from bench.systems import Boxfs, Rclone
from bench.workload import Workload
from bench.workloads import ALL

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RESULTS, UNFINISHED = HERE / "results.json", HERE / "unfinished.json"
ORDER = [one.name for one in ALL]
SYSTEMS: Systems = {
    "boxfs": lambda home, account, workload: Boxfs(home, account, workload.boxfs, limited=workload.limited),
    "rclone": lambda home, account, workload: Rclone(home, account, workload.rclone),
}


def main() -> int:
    options = _options()
    if options.list:
        sys.stdout.writelines(f"{one.name:22} {one.group:10} {one.title}\n" for one in ALL)
        return 0
    if options.tables:
        _publish(results.load(RESULTS))
        return 0
    known = {name for one in ALL for name in (one.name, one.group)}
    if unknown := [name for name in options.workloads if name not in known]:
        say(f"no workload or group is called {', '.join(unknown)}; `scripts/bench --list` tells which there are")
        return 2
    folder = island.folder()
    if folder is None:
        return island.run(sys.argv[1:])
    chosen = [one for one in ALL if not options.workloads or {one.name, one.group} & set(options.workloads)]
    try:
        if options.profile:
            asked = chosen if options.workloads else [one for one in ALL if one.name in profile.HOTTEST]
            return profile.write(folder, asked, options.rounds, DOCS / "profiles")
        return _run(options, folder, chosen)
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, folder: Path, chosen: list[Workload]) -> int:
    writes = not options.quick and options.only is None
    progress = Progress(UNFINISHED, resume=options.resume)
    if options.resume:
        left = progress.left([one.name for one in chosen])
        chosen = [one for one in chosen if one.name in left]
    place = folder / "wire"
    place.mkdir()
    wire = account.wire_mib_s(place)
    say(f"wire: {wire:.0f} MiB/s (curl, one connection)")
    run = results.now()
    about, whole = results.machine(wire, run), not options.workloads and not options.resume
    if writes and whole:
        RESULTS.unlink(missing_ok=True)  # a whole run begins anew; rows of another day are not mixed in
    systems = {name: make for name, make in SYSTEMS.items() if options.only in (None, name)}
    runner = Runner(folder, systems, account.as_box, rounds=options.rounds, quick=options.quick, disk=writes)
    failed, began, last = [], time.monotonic(), time.monotonic()
    with contextlib.closing(runner.run(chosen)) as runs:
        for workload, found in runs:
            _tell(workload, found, time.monotonic() - last, quick=options.quick)
            last = time.monotonic()
            if found.failures:
                failed.append(workload.name)
            if writes:  # kept at once: a long run may be cut short
                row = results.row(workload, found, wire, run)
                results.merge(RESULTS, {workload.name: row}, ORDER, about, whole=whole)
                progress.add(workload.name)
    say(f"{len(chosen)} rows in {(time.monotonic() - began) / 60:.1f} min")
    if writes:
        _publish(results.load(RESULTS))
        progress.end()
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _tell(workload: Workload, found: Found, took_s: float, *, quick: bool) -> None:
    for failure in found.failures:
        say(f"{workload.name}: {failure}")
    for name, samples in found.samples.items():
        if not samples:
            continue
        side = results.summary(samples)
        say(
            f"{workload.name:20} {name:7} {side['wall_s']:9.4f} s ({side['best_s']:.3f}-{side['worst_s']:.3f}, "
            f"+{side['settled_s']:.2f}) "
            f"{side['calls']:5.0f}+{side['listening']:.0f} calls {side['downloads']:5.0f} dl "
            f"{side['received_mib']:7.2f} MiB {side['peak_mib']:4.0f} MiB cpu {side['cpu_s']:.2f} "
            f"server {side['server_cpu_s']:.2f}"
        )
        if name == "boxfs" and workload.budget is not None:
            budget = workload.budget.small if quick else workload.budget.full
            if over := budget.excess(samples[0].requests, listening=workload.listening):
                say(f"    over its budget: {'; '.join(over)}")
    say(f"    {took_s:.0f} s for the row")


def _publish(found: results.Row) -> None:
    report.write(DOCS / "PERFORMANCE.md", found)
    plot.write(DOCS / "images" / "performance.svg", found)
    plot.write_scale(DOCS / "images" / "scale.svg", found)
    say("wrote PERFORMANCE.md, results.json, performance.svg and scale.svg")


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    made.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names or groups (scale); none: all")
    made.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each, boxfs and rclone in turn (5)")
    made.add_argument(
        "--quick", action="store_true", help="one round, a tenth of the size, nothing written: does it run?"
    )
    made.add_argument("--resume", action="store_true", help="only what the last run, which was cut short, left undone")
    made.add_argument("--only", choices=list(SYSTEMS), help="one system; nothing is written")
    made.add_argument(
        "--profile", action="store_true", help="where boxfs spends its time: writes docs/profiles (py-spy)"
    )
    made.add_argument("--list", action="store_true", help="the workloads")
    made.add_argument("--tables", action="store_true", help="write the tables anew from results.json")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
