"""What a workload may ask of Box.  The bench prints it; tests/bench/test_budgets.py holds boxfs to it, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measure import MIB, Requests


@dataclass(frozen=True)
class Calls:
    """The most that one run may cost.

    api: requests that Box's quotas count (the API and the upload host; listening for events where the row counts it).
    downloads: requests to the download host, which no quota counts.  mib: sent by Box, all bodies.
    """

    api: int
    downloads: int = 0
    mib: float = 1.0

    def excess(self, spent: Requests, *, listening: bool = False) -> list[str]:
        """What was more than allowed, in words; empty where the budget was kept."""
        pairs = (
            ("calls", spent.calls + (spent.listening if listening else 0), self.api),
            ("downloads", spent.downloads, self.downloads),
            ("MiB", round(spent.bytes_out / MIB, 2), self.mib),
        )
        return [f"{found} {what}, {allowed} allowed" for what, found, allowed in pairs if found > allowed]


@dataclass(frozen=True)
class Budget:
    """full: of the row as the bench runs it.  small: of `--quick`, a tenth of the size, which the tests run."""

    full: Calls
    small: Calls
