"""Runs workloads: both systems in turn, as often as asked, each from the same start."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.account import Account
from bench.measure import Requests, Sample, cpu_s, forget_peak, peak_mib, programs_cpu_s
from bench.systems import Disk, System
from bench.workload import Place, Start, Workload

Systems = dict[str, Callable[[Path, Account, Workload], System]]
Open = Callable[[Path], contextlib.AbstractContextManager[Account]]
Around = Callable[[System], contextlib.AbstractContextManager[object]]
DISK_RUNS = 3
QUIET_LOOKS = 6
NEARLY_ALL = 0.9


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@dataclass
class Found:
    """What the runs of a workload gave.  A system that failed has no samples.  disk_s: the same on a local disk."""

    samples: dict[str, list[Sample]]
    disk_s: float | None = None
    failures: list[str] = field(default_factory=list)


@dataclass
class _Site:
    """An account with its files, and the homes that mounts have left for others (by system and name)."""

    name: str
    folder: Path
    account: Account
    prepared: set[object] = field(default_factory=set)
    homes: dict[tuple[str, str], System] = field(default_factory=dict)


class Runner:
    """systems: name -> how to make one with a home of its own.  calm: no latency and no limits of the wire, for tests.
    disk: run the workloads on a local disk too.  around: what is about each run, a profiler."""

    def __init__(
        self, folder: Path, systems: Systems, open_account: Open, *, rounds: int = 1, quick: bool = False,
        calm: bool = False, disk: bool = False, around: Around = contextlib.nullcontext,
    ) -> None:  # fmt: skip
        self._folder, self._systems, self._open = folder, systems, open_account
        self._rounds, self._quick, self._calm, self._disk, self._around = rounds, quick, calm, disk, around
        self._count = 0

    def run(self, workloads: Iterable[Workload]) -> Generator[tuple[Workload, Found], None, None]:
        """Each workload in its turn; those of one `account` share it.  Nothing that fails ends the run."""
        with contextlib.ExitStack() as stack:
            site: _Site | None = None
            for workload in workloads:
                if site is None or not workload.account or workload.account != site.name:
                    stack.close()
                    try:
                        site = stack.enter_context(self._site(workload.account))
                    except Exception:  # noqa: BLE001 the others may do
                        site = None
                        yield workload, Found({}, failures=[traceback.format_exc()])
                        continue
                yield workload, self._measure(workload, site)

    @contextlib.contextmanager
    def _site(self, name: str) -> Iterator[_Site]:
        self._count += 1
        folder = self._folder / f"site{self._count}"
        folder.mkdir()
        try:
            with self._open(folder) as account:
                yield _Site(name, folder, account)
        finally:
            if not any(os.path.ismount(mount) for mount in folder.glob("*/mnt")):
                shutil.rmtree(folder, ignore_errors=True)

    def _measure(self, workload: Workload, site: _Site) -> Found:
        found = Found({name: [] for name in self._systems})
        try:
            if workload.prepare is not None and workload.prepare not in site.prepared:
                workload.prepare(site.account.box, self._quick)
                site.prepared.add(workload.prepare)
            local = site.folder / f"{workload.name}.local"
            local.mkdir()
            if workload.local is not None:
                workload.local(local, self._quick)
            if self._disk and workload.limits.disk:  # before a mount changes what it copies
                found.disk_s = self._on_disk(workload, site)
            self._rounds_of(workload, site, found)
        except Exception:  # noqa: BLE001
            found.failures.append(traceback.format_exc())
        return found

    def _rounds_of(self, workload: Workload, site: _Site, found: Found) -> None:
        failed: set[str] = set()
        names = list(self._systems)
        with contextlib.ExitStack() as mounts:
            for number in range(self._rounds_for(workload)):
                # Who begins changes from round to round: the second finds the server's page cache warm.
                for second, name in enumerate(names[:: -1 if number % 2 else 1]):
                    if name in failed:
                        continue
                    turn = number * len(names) + second
                    try:
                        found.samples[name] += self._one(workload, site, name, turn, mounts)
                    except Exception:  # noqa: BLE001 what one system cannot do, the other may
                        found.failures.append(f"{name}, round {number + 1}: {traceback.format_exc()}")
                        found.samples[name] = []
                        failed.add(name)

    def _rounds_for(self, workload: Workload) -> int:
        return 1 if self._quick else min(workload.rounds or self._rounds, self._rounds)

    def _one(self, workload: Workload, site: _Site, name: str, turn: int, mounts: contextlib.ExitStack) -> list[Sample]:
        number, box = turn // len(self._systems), site.account.box
        key = (name, workload.home or workload.name)
        kept = workload.start in (Start.AGAIN, Start.WARM) or (workload.start is Start.UNMOUNTED and workload.home)
        filled = key in site.homes and kept
        if filled:
            system = site.homes[key]
        else:
            self._count += 1
            system = self._systems[name](site.folder / f"{name}{self._count}", site.account, workload)
        remote = f"/{name}-{number}" if workload.own else "/data"
        if workload.own and (workload.start is not Start.WARM or number == 0):
            # One mount sees all rounds of a WARM row, and others' folders would come to it as events.
            for each in range(number, self._rounds_for(workload) if workload.start is Start.WARM else number + 1):
                box.mkdir(f"/{name}-{each}")
        place = Place(
            system=system, box=box, path=system.path / remote.strip("/"), remote=remote,
            scratch=site.folder / f"{workload.name}.local", quick=self._quick, turn=turn,
            first=turn % len(self._systems) == 0,
        )  # fmt: skip
        with contextlib.ExitStack() as here:
            here.enter_context(box.knobs(**workload.knobs))
            match workload.start:
                case Start.COLD:
                    here.enter_context(_mounted(system, remove=not workload.home))
                    if workload.warm is not None:
                        workload.warm(place)
                case Start.UNMOUNTED:
                    if kept and not filled:
                        self._fill(workload, place)
                    here.callback(_end, system, remove=not kept)
                case Start.AGAIN:
                    if not filled:
                        self._fill(workload, place)
                    if workload.between is not None:
                        workload.between(place)
                    if workload.from_mount:
                        here.enter_context(box.knobs(**self._line(workload)))
                        box.clear_log()
                    here.enter_context(_mounted(system))
                case Start.WARM:
                    if number == 0:
                        mounts.enter_context(_mounted(system))
                        (workload.warm or _nothing)(place)
            samples = self._ready(workload, site, place)
        if workload.home or kept:
            site.homes[key] = system
        return samples

    @staticmethod
    def _fill(workload: Workload, place: Place) -> None:
        """Mount once, for a home that later runs find."""
        with _mounted(place.system):
            (workload.warm or _nothing)(place)
            place.system.settle()
            time.sleep(place.system.rest_s if workload.rests else 0)

    def _line(self, workload: Workload) -> dict[str, float]:
        """How far away Box is."""
        return {} if self._calm else {"latency_s": workload.latency_s, "bandwidth": workload.bandwidth}

    def _ready(self, workload: Workload, site: _Site, place: Place) -> list[Sample]:
        """Everything but the clock is as it should be."""
        if workload.own:
            os.listdir(place.path)  # a folder that is known, and empty
        if workload.each is not None:
            workload.each(place)
        with site.account.box.knobs(**self._line(workload)):
            return self._timed(workload, site.account, place)

    def _timed(self, workload: Workload, account: Account, place: Place) -> list[Sample]:
        system, mounts = place.system, workload.start is Start.UNMOUNTED
        if not workload.from_mount:
            account.box.clear_log()
        if not mounts:
            forget_peak(system.pid)
        before = 0.0 if mounts else cpu_s(system.pid)
        server_before, program_before, load = cpu_s(account.pid), programs_cpu_s(), os.getloadavg()[0]
        with self._around(system):
            begun = time.perf_counter()
            told = workload.run(place)
            wall_s = time.perf_counter() - begun
        program = programs_cpu_s() - program_before
        walls = _walls(told, wall_s)
        # A workload with a clock of its own may time a part of what the daemon did.
        run_busy, settled_s = _busy(system, before) if sum(walls.values()) > NEARLY_ALL * wall_s else 0.0, 0.0
        if workload.own or workload.writes:
            settled_s = max(system.settle() - begun - wall_s, 0.0)
        busy = _busy(system, before)
        try:
            peak = peak_mib(system.pid)
        except (AssertionError, OSError):  # it has unmounted
            peak = 0.0
        server_busy = cpu_s(account.pid) - server_before
        requests = self._spent(workload, account, system)
        if workload.check is not None:
            workload.check(place, requests)
        return [
            Sample(wall, settled_s, requests, peak, busy, run_busy, program, server_busy, load, kind)
            for kind, wall in walls.items()
        ]

    @staticmethod
    def _spent(workload: Workload, account: Account, system: System) -> Requests:
        """What was asked, with what follows where that belongs to the row."""
        spent = Requests.of(account.box.log(), system.agent)
        for _ in range(QUIET_LOOKS if workload.trailing_s else 0):
            time.sleep(workload.trailing_s)
            before, spent = spent, Requests.of(account.box.log(), system.agent)
            if spent == before:
                break
        return spent

    def _on_disk(self, workload: Workload, site: _Site) -> float | None:
        """The best of some runs on a local disk."""
        self._count += 1
        disk = Disk(site.folder / f"disk{self._count}")
        if not workload.own and not disk.mirror(site.account.box):
            return None
        walls: list[float] = []
        for number in range(DISK_RUNS):
            remote = f"run{number}" if workload.own else "data"
            place = Place(
                system=disk, box=site.account.box, path=disk.path / remote, remote=f"/{remote}",
                scratch=site.folder / f"{workload.name}.local", quick=self._quick, turn=number,
            )  # fmt: skip
            place.path.mkdir(exist_ok=True)
            if workload.each is not None:
                workload.each(place)
            begun = time.perf_counter()
            told = workload.run(place)
            wall_s = time.perf_counter() - begun
            walls += _walls(told, wall_s).values()
        shutil.rmtree(disk.path, ignore_errors=True)
        return min(walls)


def _walls(told: Any, wall_s: float) -> dict[str, float]:
    """What a workload says of its time: nothing, a number, or one for each of several kinds."""
    return dict(told) if isinstance(told, dict) else {"": wall_s if told is None else float(told)}


def _nothing(_place: Place) -> None:
    """Nothing to warm."""


def _busy(system: System, before: float) -> float:
    try:
        return cpu_s(system.pid) - before
    except (AssertionError, OSError):  # it has unmounted
        return 0.0


@contextlib.contextmanager
def _mounted(system: System, *, remove: bool = False) -> Iterator[None]:
    try:
        system.start()
        yield
    except Exception:
        say(system.log[-3000:])
        raise
    finally:
        _end(system, remove=remove)


def _end(system: System, *, remove: bool) -> None:
    system.stop()
    if remove and not os.path.ismount(system.path):  # one that is still mounted would lose what is at Box
        shutil.rmtree(system.cache.parent, ignore_errors=True)
