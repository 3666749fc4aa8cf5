"""The runner: who runs when, on which homes, and that nothing that fails ends a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.account import Account
from bench.runner import Found, Runner, Systems
from bench.systems import Disk
from bench.workload import Place, Start, Workload


class Quiet:
    """A server that was asked nothing."""

    def log(self) -> list[dict[str, Any]]:
        return []

    def clear_log(self) -> None:
        """Nothing to clear."""

    def mkdir(self, path: str) -> None:
        """Disk has it already."""

    def knobs(self, **_knobs: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class Local(Disk):
    """A folder as a system; writes down what is done with it."""

    def __init__(self, name: str, home: Path, told: list[str]) -> None:
        super().__init__(home)
        self.name, self.pid, self.told = name, os.getpid(), told
        (self.path / "data").mkdir()

    def start(self) -> None:
        self.told.append(f"start {self.name}")

    def stop(self) -> None:
        self.told.append(f"stop {self.name}")


def run(tmp_path: Path, *workloads: Workload, rounds: int = 1) -> tuple[list[str], list[Found]]:
    told: list[str] = []

    @contextlib.contextmanager
    def account(_folder: Path) -> Iterator[Account]:
        told.append("account")
        yield Account(Quiet(), "", os.getpid())  # type: ignore[arg-type]

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
    def told(_place: Place) -> list[float]:
        return [1.5, 2.5]

    _, (found,) = run(tmp_path, Workload("told", "g", "t", told))
    assert [sample.wall_s for sample in found.samples["boxfs"]] == [1.5, 2.5]
