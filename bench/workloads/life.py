"""The life of a mount: start, end, an hour of nothing, a million items."""

from __future__ import annotations

import os
import time

from bench.budget import Budget, Calls
from bench.measure import Requests
from bench.workload import FEW, Limits, Place, Start, Workload
from bench.workloads.data import fill, spread
from bench.workloads.seen import START_S
from tests.support.box import Box

SPEED = 360
"""An hour of nothing in ten seconds: the server's long poll and rclone's polling are shortened by as much."""


def _few(box: Box, _fast: bool) -> None:
    fill(box, 10, 2, 100)


def _million(box: Box, fast: bool) -> None:
    spread(box, *((200, 10) if fast else (20_000, 50)))


def _mount(place: Place) -> float:
    begun = time.perf_counter()
    place.system.start(rested=False)
    os.listdir(place.system.path)
    return time.perf_counter() - begun


def _unmount(place: Place) -> None:
    place.system.stop()


def _idle(place: Place) -> None:
    time.sleep(4 if place.quick else 3600 / SPEED)


def _listened(place: Place, spent: Requests) -> None:
    """The hour went by as fast as it should: boxfs's poll has ended every ten minutes of it, rclone has asked."""
    least = 1 if place.quick else 5
    ended = spent.polls if place.system.name == "boxfs" else spent.listening
    assert ended >= least, f"listened {ended} times, and not {least}"


def _look(place: Place) -> None:
    os.listdir(place.path)


def _begun(place: Place) -> None:
    """It listens: what it asks when it is a second old has been asked."""
    _look(place)
    time.sleep(START_S)


def _walk(place: Place) -> None:
    place.sh("find .")


def _one_stat(place: Place) -> float:
    path = place.path / "0001/d000107/f00007.dat"
    begun = time.perf_counter()
    os.stat(path)
    return time.perf_counter() - begun


WORKLOADS = (
    Workload("mount", "life", "mount and first `ls`, nothing known, 50 ms (calls: until it is answered)", _mount,
             Start.UNMOUNTED, prepare=_few, latency_s=0.05, listening=True, trailing_s=0.5,
             budget=Budget(Calls(2), Calls(5)),
             limits=Limits("Python that starts; where the stream is, and a listing. A second later boxfs makes three "
                           "calls more (not in the row), once; rclone one a minute", waves=2, disk=False)),
    Workload("remount", "life", "mount and first `ls`, all known from the last time, 50 ms (calls: with what follows)",
             _mount, Start.UNMOUNTED, prepare=_few, home="known", warm=_look, latency_s=0.05, listening=True,
             trailing_s=1.3, budget=Budget(Calls(3), Calls(3)),
             limits=Limits("Python that starts and loads boxfs", disk=False)),
    # What a mount asks when it is a second old may fall into the small one, on a machine that has much else to do.
    Workload("unmount", "life", "unmount", _unmount, prepare=_few, warm=_look, listening=True,
             budget=Budget(Calls(0), Calls(2)), limits=Limits("two programs", disk=False)),
    Workload("idle-hour", "life", "an hour of nothing, 360 times as fast", _idle, Start.WARM,
             prepare=_few, warm=_begun, rounds=1, rclone=("--poll-interval", f"{60 / SPEED:.3f}s"),
             knobs={"poll_reconnect_s": 600 / SPEED}, listening=True, check=_listened,
             budget=Budget(Calls(8), Calls(8)),
             held_by="tests/mount/test_read_budgets.py::test_an_idle_hour_costs_at_most_eight_calls",
             limits=Limits("a long poll every ten minutes, and where the next is to be", disk=False, load=False)),
    Workload("million-walk", "life", "`find` over 1,000,000 files in 20,000 folders, cold", _walk, account="million",
             home="walked", prepare=_million, limited=False, rounds=1, budget=Budget(Calls(20_202, mib=64), Calls(204)),
             limits=Limits("20,000 listings", disk=False)),
    Workload("million-stat", "life", "`stat` of one of a million files after a remount", _one_stat, Start.AGAIN,
             account="million", home="walked", prepare=_million, limited=False, warm=_walk, rounds=FEW,
             budget=Budget(Calls(0), Calls(0)), limits=Limits("names on the way, from SQLite", disk=False)),
)  # fmt: skip
