"""Results as they are kept (bench/results.json): a run of some workloads replaces those and leaves the others."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.measure import MIB, Sample
from bench.runner import Found
from bench.systems import RCLONE_FLAGS, rclone_program
from bench.workload import Workload
from boxfs import __version__

Row = dict[str, Any]
SYSTEMS = ("boxfs", "rclone")


def row(workload: Workload, found: Found, wire_mib_s: float, run: str = "") -> Row:
    """One workload as JSON: the median of each figure and all samples, for each system that got through.

    run: when the run began that it is of.
    """
    made: Row = {
        "group": workload.group,
        "title": workload.title,
        "run": run,
        "limit": workload.limits.words,
        "load_counts": workload.limits.load,
        "listening": workload.listening,
        "waves": workload.limits.waves,
        "latency_s": workload.latency_s,
        "bandwidth": workload.bandwidth,
        "connections": workload.limits.connections,
        "wire_mib_s": round(wire_mib_s),
        "disk_s": found.disk_s and float(f"{found.disk_s:.4g}"),
        "goal": workload.goal,
        "budget": asdict(workload.budget.full) if workload.budget else None,
        "processors": os.cpu_count() or 1,
        "writes": workload.own or workload.writes,
        "scale": workload.scale and {"step": workload.scale[0], "files": workload.scale[1]},
        "load": round(max((s.load for samples in found.samples.values() for s in samples), default=0.0), 1),
    }
    for system, samples in found.samples.items():
        if samples:
            made[system] = summary(samples)
    return made


def summary(samples: list[Sample]) -> Row:
    def median(values: list[float]) -> float:
        return float(f"{statistics.median(values):.4g}")

    walls = [s.wall_s for s in samples]
    return {
        "wall_s": median(walls),
        "best_s": float(f"{min(walls):.4g}"),
        "worst_s": float(f"{max(walls):.4g}"),
        "settled_s": median([s.settled_s for s in samples]),
        "calls": median([s.requests.calls for s in samples]),
        "downloads": median([s.requests.downloads for s in samples]),
        "listening": median([s.requests.listening for s in samples]),
        "polls": median([s.requests.polls for s in samples]),
        "refused": median([s.requests.refused for s in samples]),
        "received_mib": median([s.requests.bytes_out / MIB for s in samples]),
        "sent_mib": median([s.requests.bytes_in / MIB for s in samples]),
        "peak_mib": median([s.peak_mib for s in samples]),
        "cpu_s": median([s.cpu_s for s in samples]),
        "run_cpu_s": median([s.run_cpu_s for s in samples]),
        "program_cpu_s": median([s.program_cpu_s for s in samples]),
        "server_cpu_s": median([s.server_cpu_s for s in samples]),
        "samples": [_rounded(asdict(s)) for s in samples],
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")


def machine(wire_mib_s: float, run: str) -> dict[str, str]:
    """What the figures of a run of all rows hold for."""
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")), "?: ?")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rclone = subprocess.run([rclone_program(), "version"], capture_output=True, text=True, check=True).stdout
    return {
        "processors": f"{os.cpu_count()} x {cpu.partition(':')[2].strip()}",
        "memory": f"{total:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "boxfs": f"{__version__}, default options",
        "rclone": f"{rclone.splitlines()[0].split()[-1]}, mount {' '.join(RCLONE_FLAGS)}",
        "wire": f"{wire_mib_s:.0f} MiB/s: curl, one connection to the emulator, TLS",
        "measured": f"{run} UTC",
    }


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machine": {}, "workloads": {}}
    return found


def merge(
    path: Path, rows: dict[str, Row], order: list[str], about: dict[str, str], *, whole: bool = True
) -> dict[str, Any]:
    """Put rows into the file; the whole of it.  Several runs may do so at once.

    whole: of all rows: then `about` is what the file's figures hold for.  A row measured alone leaves that as it is.
    """
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = load(path)
        kept = before["workloads"] | rows
        machine = about if whole else before["machine"] or about
        found = {"machine": machine, "workloads": {name: kept[name] for name in order if name in kept}}
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(found, indent=1) + "\n")
        fresh.replace(path)
        return found
