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

from bench.budget import Budget
from bench.measure import Requests
from bench.systems import System
from tests.support.box import Box

LONGEST_S = 900.0
"""A command that takes longer has hung: the row fails, and the run goes on."""

FEW = 3
"""Rounds where one run of both takes more than ten seconds, its preparation included."""


@dataclass
class Place:
    """path: the workload's own folder in the mount; at Box it is `remote`.  scratch: a folder on the local disk.
    turn: counts the runs of a workload, of all systems together.  first: of the systems in its round."""

    system: System
    box: Box
    path: Path
    remote: str
    scratch: Path
    quick: bool
    turn: int = 0
    first: bool = True

    def sh(self, command: str, cwd: Path | None = None) -> None:
        """A shell command in the workload's folder, its output thrown away.  Raises SubprocessError."""
        subprocess.run(
            command, shell=True, cwd=cwd or self.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True,
            timeout=LONGEST_S,
        )  # fmt: skip


class Start(Enum):
    """COLD: a new home and mount for every run.  AGAIN: one home, filled once by `warm`, mounted anew for every run.
    WARM: one mount for all runs, `warm` before the first.  UNMOUNTED: `run` mounts; with a `home`, one that `warm`
    has filled."""

    COLD = "cold"
    AGAIN = "again"
    WARM = "warm"
    UNMOUNTED = "unmounted"


Run = Callable[[Place], Any]


@dataclass(frozen=True)
class Limits:
    """What the time of a row cannot go below, as far as it can be told before a run; `bench/limits.py` adds the rest.

    waves: answers of Box that must come one after the other, as many at once as boxfs asks (24 listings, 32 files).
    connections: at once, where each has a limit of its own.  words: what to know of the row besides.
    disk: the program is run on a local disk as well, which says what it and the kernel need.
    load: bytes and CPU are those of what is timed; not where that is a small part of what goes on.
    """

    words: str = ""
    waves: int = 0
    connections: int = 1
    disk: bool = True
    load: bool = True


@dataclass(frozen=True)
class Workload:
    """run: what is timed, unless it returns seconds itself: a number, or one for each of several kinds, by name.

    budget: what boxfs may ask of Box.  held_by: the ordinary test that holds it to that ("file.py::test"), where
    that is not `tests/bench/test_budgets.py`: of rows whose cost depends on time, and of those that differ from another
    row in their knobs or size only.
    prepare: puts files to Box, once for all runs.  local: to the local disk.  between: while unmounted (AGAIN).
    each: before every run, not timed.
    account: rows that follow each other with the same name work on the same files at Box.  home: COLD leaves a home
    of that name to the row that starts AGAIN or WARM in it, which need not warm it then.
    rests: `warm` reads data that a system may still be writing down when it is unmounted.
    own: every run gets a folder of its own, and writes into it.  writes: it writes without one.
    latency_s, bandwidth: of the emulator, while it is timed; knobs: others of it, from before the mount.
    boxfs, rclone: options of theirs.
    listening: listening for events counts as calls, since it is what the row is about.  trailing_s: what follows after
    the run belongs to it, until nothing was asked for so long.  from_mount: so does what the mount asks at its start,
    with the row's latency (AGAIN).
    check: raises AssertionError where a run did not do what the row is about.
    goal: of boxfs against rclone, times as quick.  rounds: at most, where a run takes long.
    limited: boxfs keeps to 1,000 calls a minute, as at Box.
    scale: (step, number of files) of a row that shows how a step grows.
    """

    name: str
    group: str
    title: str
    run: Run
    start: Start = Start.COLD
    budget: Budget | None = None
    held_by: str = ""
    prepare: Callable[[Box, bool], None] | None = None
    local: Callable[[Path, bool], None] | None = None
    warm: Run | None = None
    between: Run | None = None
    each: Run | None = None
    account: str = ""
    home: str = ""
    rests: bool = False
    own: bool = False
    writes: bool = False
    latency_s: float = 0.0
    bandwidth: int = 0
    limits: Limits = field(default_factory=Limits)
    goal: float | None = None
    rounds: int | None = None
    scale: tuple[str, int] | None = None
    limited: bool = True
    listening: bool = False
    trailing_s: float = 0.0
    from_mount: bool = False
    check: Callable[[Place, Requests], None] | None = None
    boxfs: tuple[str, ...] = ()
    rclone: tuple[str, ...] = ()
    knobs: dict[str, Any] = field(default_factory=dict)
