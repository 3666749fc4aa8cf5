"""What a workload is: how its files come to Box, what is done before the clock, and what is timed.

`run` sees a folder of a mount and no more, so that every system does the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from bench.systems import System
from tests.support.box import Box


@dataclass
class Place:
    """path: the workload's own folder in the mount; at Box it is `remote`.  scratch: a folder on the local disk."""

    system: System
    box: Box
    path: Path
    remote: str
    scratch: Path
    quick: bool

    def sh(self, command: str, cwd: Path | None = None) -> None:
        """A shell command in the workload's folder, its output thrown away.  Raises CalledProcessError."""
        subprocess.run(
            command, shell=True, cwd=cwd or self.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
        )


class Start(Enum):
    """COLD: a new home and mount for every run.  AGAIN: cold, `warm`, unmounted, then mounted and run.  WARM: one mount
    for all runs, `warm` before the first.  UNMOUNTED: `run` mounts."""

    COLD = "cold"
    AGAIN = "again"
    WARM = "warm"
    UNMOUNTED = "unmounted"


Run = Callable[[Place], Any]


@dataclass(frozen=True)
class Workload:
    """run: what is timed, unless it returns seconds itself (one number, or several samples).

    prepare: puts files to Box, once for all runs.  local: to the local disk.  between: while unmounted (AGAIN).
    each: before every run, not timed.
    own: every run gets a folder of its own (workloads that write).  latency_s, bandwidth: knobs of the emulator.
    limit: what the time cannot go below, in words.  goal: of boxfs against rclone, times as quick.
    """

    name: str
    group: str
    title: str
    run: Run
    start: Start = Start.COLD
    prepare: Callable[[Box, bool], None] | None = None
    local: Callable[[Path, bool], None] | None = None
    warm: Run | None = None
    between: Run | None = None
    each: Run | None = None
    own: bool = False
    latency_s: float = 0.0
    bandwidth: int = 0
    limit: str = ""
    goal: float | None = None
    max_calls: int | None = None
    rounds: int | None = None
    boxfs: tuple[str, ...] = ()
    rclone: tuple[str, ...] = ()
    knobs: dict[str, Any] = field(default_factory=dict)
    big: bool = False
