"""Every place where a recorded run can be cut off, and what is left there."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.disk import Disk, Loss, Remove, Rename, Step, SyncFile, SyncFolder, Write, lay_out
from tests.crash.recording import Mark, Recorded
from tests.crash.restart import Moment, check

PAGE = 4096
SEED = os.environ.get("BOXFS_CRASH_SEED", "")  # another one leaves other bytes "by chance"


@dataclass(frozen=True)
class Point:
    """Before step `at` of the run (or at its end).  following: that step."""

    at: int
    following: Step | None
    moment: Moment

    def losses(self) -> Iterator[Loss]:
        yield from (Loss.NONE, Loss.UNSYNCED, Loss.BYTES, Loss.CHANCE)
        if isinstance(self.following, Write) and self.following.data and len(self.following.data) > PAGE:
            yield Loss.TORN


def points(recorded: Recorded) -> list[Point]:
    """One before each step that changes the disk, one before each change at Box, and one at the end."""
    found: list[Point] = []
    done, begun, box = 0, None, 0
    for at, step in enumerate(recorded.steps):
        match step:
            case Mark("begun", number):
                begun = number
            case Mark("done", number):
                done, begun = number, None
            case Mark(_, number):
                if number:
                    found.append(Point(at, None, Moment(done, begun, box)))
                box = number
            case _:
                found.append(Point(at, step, Moment(done, begun, box)))
    found.append(Point(len(recorded.steps), None, Moment(done, begun, box)))
    return found


class Chosen:
    """Which crashes to try: all, or every so-manieth with all those next to where something becomes safe or known.

    At such a place every kind of loss is tried, at the others one, in turn.
    """

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self.points: set[int] = set()

    def __call__(self, recorded: Recorded, point: Point, loss: Loss) -> bool:
        wanted = self._wanted(recorded.steps, point, loss)
        if wanted:
            self.points.add(point.at)
        return wanted

    def _wanted(self, steps: list[Step | Mark], point: Point, loss: Loss) -> bool:
        if self._stride == 1:
            return True
        before = steps[point.at - 1] if point.at else None
        if isinstance(before, _TURNS) or isinstance(point.following, _TURNS):
            return True
        losses = list(point.losses())
        return point.at % self._stride == 0 and losses[point.at // self._stride % len(losses)] is loss


_TURNS = (SyncFile, SyncFolder, Rename, Remove)


def crash_at(recorded: Recorded, wanted: Chosen, folder: Path) -> tuple[int, list[str]]:
    """Crash at all that is wanted; return how many times, and what went wrong."""
    run = recorded.run
    disk = Disk(run.base)
    at = crashes = 0
    wrong: list[str] = []
    for point in points(recorded):
        for step in recorded.steps[at : point.at]:
            if not isinstance(step, Mark):
                disk.take(step)
        at = point.at
        for loss in point.losses():
            if not wanted(recorded, point, loss):
                continue
            crashes += 1
            place = folder / f"{run.name}-{crashes}"
            lay_out(disk.left(loss, point.following, random.Random(f"{run.name} {at}{SEED}")), place)
            try:
                check(run, place, point.moment, loss)
            except Exception as error:  # noqa: BLE001 - all that goes wrong is told, with its place
                wrong.append(
                    f"{run.name}, step {at} ({_short(point.following)}), {loss}: {type(error).__name__}: {error}"
                )
            shutil.rmtree(place)
    return crashes, wrong


def _short(step: Step | None) -> str:
    return f"{step!r:.60}"
