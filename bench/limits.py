"""What a row cannot be quicker than, as far as figures of the same run can tell, and how far it is from that.

calls: answers of Box that come one after the other, each after the latency.  wire: the bytes, at the speed of curl (or
at the limit of each connection).  Python: the daemon's CPU, since one interpreter runs one thread at a time; where much
data flows (or more CPU than time), its threads decrypt, check and copy beside each other, and it is all CPU of daemon,
server and program, over the processors.  program: the same command on a local disk, with nothing of ours below it.

The kernel counts CPU in hundredths of a second, so that of a row of a few milliseconds is not known.  Where the row
times a small part of what goes on, bytes and CPU say nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MUCH_MIB = 16.0
FAR = 10.0
"""A row that takes more than so many times the greatest of the four is limited by something else."""
LEAST_S = 0.0001


@dataclass(frozen=True)
class Bounds:
    calls: float
    wire: float
    python: float
    program: float | None

    @property
    def nearest(self) -> tuple[str, float]:
        """The greatest of them: what limits the row."""
        named = {"calls": self.calls, "wire": self.wire, "Python": self.python, "kernel and program": self.program or 0}
        return max(named.items(), key=lambda pair: pair[1])


def of(row: dict[str, Any], side: dict[str, Any]) -> Bounds:
    """row: as `bench/results.py` keeps it.  side: the system in it that is asked about."""
    calls = row["waves"] * row["latency_s"]
    if not row.get("load_counts", True):
        return Bounds(calls, 0.0, 0.0, row["disk_s"])
    speed = row["wire_mib_s"]
    if row["bandwidth"]:
        speed = min(speed, row["connections"] * row["bandwidth"] / 2**20)
    moved = max(side["received_mib"], 0.0)
    python = side["run_cpu_s"]
    if moved > MUCH_MIB or python > side["wall_s"]:
        python = (python + side["server_cpu_s"] + side["program_cpu_s"]) / row["processors"]
    return Bounds(calls, moved / speed if speed else 0.0, python, row["disk_s"])
