"""What is measured of one run: time, requests by kind, bytes, memory and CPU of the daemon, CPU of the server."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
PATIENCE_S = 300.0


def eventually(condition: Callable[[], Any], what: str, step_s: float = 0.02) -> Any:
    """The first true value of `condition`.  Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE_S:g} s still not: {what}")
        time.sleep(step_s)
    return value


def cpu_s(pid: int) -> float:
    """CPU time that a process has used, with its threads, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def forget_peak(pid: int) -> None:
    """Let the peak of resident memory begin anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class Requests:
    """calls: to the API and the upload host.  listening: to the API for events; polls: long polls, on another host.
    downloads: to the download host.  refused: answered 429."""

    calls: int = 0
    downloads: int = 0
    listening: int = 0
    polls: int = 0
    refused: int = 0
    bytes_out: int = 0
    bytes_in: int = 0

    @classmethod
    def of(cls, entries: Iterable[dict[str, Any]], agent: str) -> Requests:
        """Those of one client.  bytes_out: sent by Box; bytes_in: sent to Box; bodies only."""
        found = cls()
        for entry in entries:
            if not (entry["agent"] or "").startswith(agent):
                continue
            found.bytes_out += entry["bytes_out"]
            found.bytes_in += entry["bytes_in"]
            found.refused += entry["status"] == 429
            if entry["template"] == "/dl":
                found.downloads += 1
            elif "/2.0/" not in entry["template"]:
                found.polls += 1
            elif "/events" in entry["template"]:
                found.listening += 1
            else:
                found.calls += 1
        return found


def programs_cpu_s() -> float:
    """CPU time of what the bench itself has run so far: the programs of the workloads."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass
class Sample:
    """One run of one workload.

    settled_s: from its end until all was at Box.  cpu_s: of the daemon until then; run_cpu_s: until the workload's end;
    program_cpu_s: of the programs that were run.  load: of the machine, at the start.  kind: of what took so long,
    where a run has several.
    """

    wall_s: float
    settled_s: float
    requests: Requests
    peak_mib: float
    cpu_s: float
    run_cpu_s: float
    program_cpu_s: float
    server_cpu_s: float
    load: float
    kind: str = ""
