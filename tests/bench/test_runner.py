"""The runner: who runs when, on which homes, and that nothing that fails ends a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.account import Account
from bench.measure import Requests
from bench.runner import Found, Runner, Systems
from bench.systems import Disk
from bench.workload import Place, Start, Workload


class Quiet:
    """A server that was asked nothing but what a test puts into its log."""

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.entries: list[dict[str, Any]] = []
        self.later: list[dict[str, Any]] = []  # each is in the log one look later than the one before

    def log(self) -> list[dict[str, Any]]:
        found = list(self.entries)
        self.entries += [self.later.pop()] if self.later else []
        return found

    def clear_log(self) -> None:
        self.told.append("clear")
        self.entries.clear()

    def mkdir(self, path: str) -> None:
        """Disk has it already."""

    @contextlib.contextmanager
    def knobs(self, **knobs: Any) -> Iterator[None]:
        self.told.append(f"set {' '.join(f'{name}={value}' for name, value in knobs.items() if value)}".strip())
        yield


class Local(Disk):
    """A folder as a system; writes down what is done with it."""

    def __init__(self, name: str, home: Path, told: list[str]) -> None:
        super().__init__(home)
        self.name, self.pid, self.told = name, os.getpid(), told
        (self.path / "data").mkdir()

    def start(self, *, rested: bool = True) -> None:
        self.told.append(f"start {self.name}")

    def stop(self) -> None:
        self.told.append(f"stop {self.name}")


def run(tmp_path: Path, *workloads: Workload, rounds: int = 1) -> tuple[list[str], list[Found]]:
    told: list[str] = []

    @contextlib.contextmanager
    def account(_folder: Path) -> Iterator[Account]:
        told.append("account")
        yield Account(Quiet(told), "", os.getpid())  # type: ignore[arg-type]

    systems: Systems = {
        "boxfs": lambda home, _at, _one: Local("boxfs", home, told),
        "rclone": lambda home, _at, _one: Local("rclone", home, told),
    }
    runner = Runner(tmp_path, systems, account, rounds=rounds)
    return told, [found for _, found in runner.run(workloads)]


def nothing(_place: Place) -> None:
    """A workload."""


def fails(place: Place) -> None:
    if place.system.name == "rclone":
        raise OSError("no such luck")


def test_systems_take_turns_and_begin_in_turn(tmp_path: Path) -> None:
    told, (found,) = run(tmp_path, Workload("a", "g", "t", nothing), rounds=2)
    starts = [line for line in told if line.startswith("start")]
    assert starts == ["start boxfs", "start rclone", "start rclone", "start boxfs"]
    assert [len(samples) for samples in found.samples.values()] == [2, 2]


def test_what_one_system_cannot_do_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    told, (first, second) = run(tmp_path, Workload("a", "g", "t", fails), Workload("b", "g", "t", nothing), rounds=3)
    assert len(first.samples["boxfs"]) == 3
    assert first.samples["rclone"] == []
    assert len(first.failures) == 1
    assert "no such luck" in first.failures[0]
    assert second.failures == []
    assert told.count("start boxfs") == told.count("stop boxfs") == 6
    assert told.count("start rclone") == told.count("stop rclone") == 4


def test_a_row_whose_files_cannot_be_made_fails_alone(tmp_path: Path) -> None:
    def broken(_box: object, _fast: bool) -> None:
        raise ValueError("no files")

    _, (first, second) = run(
        tmp_path, Workload("a", "g", "t", nothing, prepare=broken), Workload("b", "g", "t", nothing)
    )
    assert "no files" in first.failures[0]
    assert second.failures == []


def test_rows_of_one_account_share_it_and_what_was_left_in_a_home(tmp_path: Path) -> None:
    warmed: list[str] = []

    def warm(place: Place) -> None:
        warmed.append(place.system.name)

    cold = Workload("cold", "g", "t", nothing, account="x", home="h")
    again = Workload("again", "g", "t", nothing, Start.AGAIN, account="x", home="h", warm=warm)
    alone = Workload("alone", "g", "t", nothing, Start.AGAIN, warm=warm)
    told, _ = run(tmp_path, cold, again, alone, rounds=2)
    assert told.count("account") == 2
    assert warmed == ["boxfs", "rclone"]  # once each, by the row that found no home


def test_one_mount_serves_all_rounds_of_a_warm_row(tmp_path: Path) -> None:
    told, _ = run(tmp_path, Workload("warm", "g", "t", nothing, Start.WARM), rounds=3)
    assert told.count("start boxfs") == told.count("stop boxfs") == 1


def test_a_row_that_takes_long_has_fewer_rounds(tmp_path: Path) -> None:
    _, (found,) = run(tmp_path, Workload("long", "g", "t", nothing, rounds=2), rounds=5)
    assert len(found.samples["boxfs"]) == 2


def test_a_workload_with_a_clock_of_its_own_is_believed(tmp_path: Path) -> None:
    def told(_place: Place) -> dict[str, float]:
        return {"one": 1.5, "other": 2.5}

    _, (found, alone) = run(
        tmp_path, Workload("told", "g", "t", told), Workload("alone", "g", "t", lambda _place: 0.25)
    )
    assert [(sample.kind, sample.wall_s) for sample in found.samples["boxfs"]] == [("one", 1.5), ("other", 2.5)]
    assert [(sample.kind, sample.wall_s) for sample in alone.samples["boxfs"]] == [("", 0.25)]


def test_knobs_are_set_before_the_mount_and_latency_with_the_clock(tmp_path: Path) -> None:
    told, _ = run(tmp_path, Workload("a", "g", "t", nothing, Start.WARM, knobs={"poll": 5}, latency_s=0.05))
    wanted = ["set poll=5", "start boxfs", "set latency_s=0.05", "clear"]
    assert [line for line in told if line in wanted][:4] == wanted


def test_a_row_about_what_a_mount_asks_counts_from_before_it(tmp_path: Path) -> None:
    again = Workload("a", "g", "t", nothing, Start.AGAIN, latency_s=0.05, from_mount=True)
    told, _ = run(tmp_path, again)
    filled = told.index("stop boxfs")  # the first mount fills the home, the second is the one that counts
    assert told[filled + 1 : filled + 6] == [
        "set latency_s=0.05",
        "clear",
        "start boxfs",
        "set latency_s=0.05",
        "stop boxfs",
    ]


def test_a_row_that_mounts_itself_may_do_so_in_a_home_that_is_known(tmp_path: Path) -> None:
    warmed: list[str] = []

    def warm(place: Place) -> None:
        warmed.append(place.system.name)

    known = Workload("known", "g", "t", lambda place: place.system.start(), Start.UNMOUNTED, home="h", warm=warm)
    told, _ = run(tmp_path, known, rounds=2)
    assert warmed == ["boxfs", "rclone"]
    assert told.count("start boxfs") == told.count("stop boxfs") == 3


def test_a_run_that_did_not_do_what_its_row_is_about_fails_the_row(tmp_path: Path) -> None:
    def check(place: Place, spent: Requests) -> None:
        assert place.system.name == "boxfs" or spent.calls, "it asked nothing"

    _, (found,) = run(tmp_path, Workload("a", "g", "t", nothing, check=check))
    assert len(found.samples["boxfs"]) == 1
    assert found.samples["rclone"] == []
    assert "it asked nothing" in found.failures[0]


def test_what_follows_a_run_is_waited_for_where_it_belongs_to_the_row(tmp_path: Path) -> None:
    def asks(place: Place) -> None:
        entry = {"agent": place.system.agent, "bytes_out": 0, "bytes_in": 0, "status": 200, "template": "/2.0/events"}
        place.box.later = [entry, entry]  # type: ignore[attr-defined]

    _, (waits, alone) = run(tmp_path, Workload("a", "g", "t", asks, trailing_s=0.001), Workload("b", "g", "t", asks))
    assert [samples[0].requests.listening for samples in waits.samples.values()] == [2, 2]
    assert [samples[0].requests.listening for samples in alone.samples.values()] == [0, 0]


def test_the_first_of_a_round_is_told_so(tmp_path: Path) -> None:
    firsts: list[tuple[str, bool]] = []
    run(tmp_path, Workload("a", "g", "t", lambda place: firsts.append((place.system.name, place.first))), rounds=2)
    assert firsts == [("boxfs", True), ("rclone", False), ("rclone", True), ("boxfs", False)]
