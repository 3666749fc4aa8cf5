"""Every row of the bench has a call budget, and boxfs keeps to it: the rows themselves, at a tenth of their size.

They run through a real mount against the emulator, without latency, and count; nothing here looks at a clock.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.account import Account
from bench.budget import Calls
from bench.measure import MIB, Requests
from bench.runner import Runner
from bench.systems import Boxfs
from bench.workload import Workload
from bench.workloads import ALL
from tests.support.box import Box, EmulatorProcess

ROOT = Path(__file__).parents[2]
HERE = [one for one in ALL if not one.held_by]


@pytest.mark.fuse
@pytest.mark.parametrize("workload", HERE, ids=[one.name for one in HERE])
def test_a_row_keeps_to_its_budget(workload: Workload, box: Box, emulator: EmulatorProcess, tmp_path: Path) -> None:
    @contextlib.contextmanager
    def account(_folder: Path) -> Iterator[Account]:
        yield Account(box, box.url, emulator.pid)

    runner = Runner(
        tmp_path,
        {"boxfs": lambda home, at, one: Boxfs(home, at, one.boxfs, hurried=True)},
        account,
        quick=True,
        calm=True,
    )
    ((_, found),) = runner.run([workload])
    assert found.failures == []
    assert workload.budget is not None
    spent = found.samples["boxfs"][0].requests
    templates = [f"{entry['method']} {entry['template']}" for entry in box.log()]
    assert workload.budget.small.excess(spent, listening=workload.listening) == [], templates


def test_every_row_has_a_budget() -> None:
    assert [one.name for one in ALL if one.budget is None] == []


@pytest.mark.parametrize("workload", [one for one in ALL if one.held_by], ids=lambda one: one.name)
def test_a_budget_that_is_held_elsewhere_is_held_by_a_test_that_exists(workload: Workload) -> None:
    path, _, test = workload.held_by.partition("::")
    name, _, row = test.partition("[")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    if row:
        assert row.removesuffix("]") in [one.name for one in HERE]


def test_names_are_unique_and_a_goal_is_no_less_than_a_draw() -> None:
    assert len({one.name for one in ALL}) == len(ALL)
    assert [one.name for one in ALL if one.goal is not None and one.goal < 1] == []


def test_what_was_more_than_allowed_is_said() -> None:
    spent = Requests(calls=3, downloads=2, bytes_out=MIB // 2)
    assert Calls(3, 2).excess(spent) == []
    spent.listening = 2
    assert Calls(3, 2).excess(spent) == []
    assert Calls(4, 2).excess(spent, listening=True) == ["5 calls, 4 allowed"]
    assert Calls(2, 1, 0.25).excess(spent) == ["3 calls, 2 allowed", "2 downloads, 1 allowed", "0.5 MiB, 0.25 allowed"]
