"""Runs workloads: both systems in turn, as often as asked, each from the same start."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Requests, Sample, cpu_s, forget_peak, peak_mib
from bench.surroundings import Server
from bench.systems import Boxfs, Rclone, System
from bench.workload import Place, Start, Workload

Results = dict[str, list[Sample]]  # system -> its runs


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Runner:
    def __init__(self, folder: Path, *, rounds: int, quick: bool, only: str | None = None) -> None:
        self._folder, self._rounds, self._quick = folder, rounds, quick
        self._systems = [name for name in ("boxfs", "rclone") if only in (None, name)]
        self._count = 0

    def measure(self, workload: Workload) -> Results:
        """Run one workload on a fresh account.  A system that fails has no samples, and why is said."""
        folder = self._folder / workload.name
        folder.mkdir()
        server = Server(folder)
        try:
            if workload.prepare is not None:
                workload.prepare(server.box, self._quick)
            local = folder / "local"
            local.mkdir()
            if workload.local is not None:
                workload.local(local, self._quick)
            return self._rounds_of(workload, server, folder)
        finally:
            server.close()
            if not any(os.path.ismount(mount) for mount in folder.glob("*/mnt")):
                shutil.rmtree(folder, ignore_errors=True)

    def _rounds_of(self, workload: Workload, server: Server, folder: Path) -> Results:
        results: Results = {name: [] for name in self._systems}
        rounds = 1 if self._quick else workload.rounds or self._rounds
        failed: set[str] = set()
        with contextlib.ExitStack() as stack:
            kept: dict[str, System] = {}
            for number in range(rounds):
                # Who begins changes from round to round: the second finds the server's page cache warm.
                for name in self._systems[:: -1 if number % 2 else 1]:
                    if name in failed:
                        continue
                    try:
                        results[name] += self._one(workload, server, folder, name, kept, stack)
                    except (OSError, subprocess.SubprocessError, TimeoutError, AssertionError):
                        say(f"{workload.name}: {name} failed in round {number + 1}\n{traceback.format_exc()}")
                        failed.add(name)
                        log = folder / f"{name}{self._count}/log"
                        say(log.read_text() if log.exists() else "")
        return results

    def _one(
        self, workload: Workload, server: Server, folder: Path, name: str, kept: dict[str, System],
        stack: contextlib.ExitStack,
    ) -> list[Sample]:  # fmt: skip
        self._count += 1
        remote = f"/{name}{self._count}" if workload.own else "/data"
        first = name not in kept
        if workload.start is Start.WARM:
            if first:
                kept[name] = self._system(workload, server, folder, name)
                stack.enter_context(_mounted(kept[name]))
            system = kept[name]
        else:
            system = self._system(workload, server, folder, f"{name}{self._count}")
        place = Place(
            system=system, box=server.box, path=system.path / remote.strip("/"), remote=remote,
            scratch=folder / "local", quick=self._quick,
        )  # fmt: skip
        with contextlib.ExitStack() as here:
            if workload.start is not Start.WARM:
                here.callback(_remove, system)
            if workload.start in (Start.COLD, Start.AGAIN):
                here.enter_context(_mounted(system))
            if workload.warm is not None and (first or workload.start is not Start.WARM):
                workload.warm(place)
            if workload.start is Start.AGAIN:
                system.settle()
                time.sleep(system.rest_s)
                system.stop()
                if workload.between is not None:
                    workload.between(place)
                system.start()
            if workload.own:
                place.path.mkdir()
                system.settle()
            if workload.each is not None:
                workload.each(place)
            server.box.settings(latency_s=workload.latency_s, bandwidth=workload.bandwidth, **workload.knobs)
            try:
                return self._timed(workload, server, place)
            finally:
                server.box.settings(latency_s=0.0, bandwidth=0)
                if workload.start is Start.UNMOUNTED:
                    system.stop()

    def _timed(self, workload: Workload, server: Server, place: Place) -> list[Sample]:
        system, mounts = place.system, workload.start is Start.UNMOUNTED
        server.box.clear_log()
        if not mounts:
            forget_peak(system.pid)
        busy = 0.0 if mounts else cpu_s(system.pid)
        server_busy, load = cpu_s(server.process.pid), os.getloadavg()[0]
        begun = time.perf_counter()
        told = workload.run(place)
        wall_s = time.perf_counter() - begun
        settled_s = 0.0
        if workload.own:
            system.settle()
            settled_s = time.perf_counter() - begun - wall_s
        try:
            peak, busy = peak_mib(system.pid), cpu_s(system.pid) - busy
        except (AssertionError, OSError):  # it has unmounted
            peak = busy = 0.0
        entries = server.box.log()
        if self._quick:  # which calls they were
            templates = Counter(
                f"{e['method']} {e['template']}" for e in entries if (e["agent"] or "").startswith(system.agent)
            )
            say(f"    {dict(templates)}")
        requests = Requests.of(entries, system.agent)
        server_busy = cpu_s(server.process.pid) - server_busy
        walls = told if isinstance(told, list) else [wall_s if told is None else float(told)]
        return [Sample(wall, settled_s, requests, peak, busy, server_busy, load) for wall in walls]

    def _system(self, workload: Workload, server: Server, folder: Path, home: str) -> System:
        if home.startswith("boxfs"):
            return Boxfs(folder / home, server.authority, workload.boxfs)
        return Rclone(folder / home, server.authority, workload.rclone)


def _remove(system: System) -> None:
    """The home of a mount that has ended; one that has not would lose what is at Box."""
    if not os.path.ismount(system.path):
        shutil.rmtree(system.cache.parent, ignore_errors=True)


@contextlib.contextmanager
def _mounted(system: System) -> Iterator[None]:
    system.start()
    try:
        yield
    finally:
        system.stop()
