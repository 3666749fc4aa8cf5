"""The threads, the barrier and what status tells: with a real clock, a Box in memory, and no wait without an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from boxfs.base.errors import Denied, QuotaExceeded, RemoteError, Unreachable
from boxfs.core import sync
from boxfs.core.planner import Plan
from boxfs.core.status import PendingItem, Progress, State
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Clock, Machine
from tests.support.waiting import until

PATIENCE_S = 60.0


class WallClock(Clock):
    def __call__(self) -> int:
        return time.time_ns()


@pytest.fixture
def running(remote: MemoryRemote, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(remote, tmp_path / "state", clock=WallClock())
    machine.list_all()
    machine.sync.start()
    yield machine
    remote.offline = False
    assert machine.sync.stop(PATIENCE_S), "all threads end"
    machine.close()


def fill(machine: Machine) -> None:
    machine.mkdir("d")
    for n in range(20):
        machine.write(f"d/f{n}", b"%d" % n)


def test_barrier_sends_all_without_waiting_for_the_settle_window(running: Machine, remote: MemoryRemote) -> None:
    fill(running)
    told: list[Progress] = []
    end = running.sync.barrier(None, timeout_s=PATIENCE_S, progress=told.append)
    assert end.done
    assert len(remote.box.tree()) == 21
    assert told[-1].left == 0
    assert told[-1].total == 21
    assert len(remote.written()) == 21


def test_barrier_of_one_folder_sends_what_it_needs_only(remote: MemoryRemote, tmp_path: Path) -> None:
    machine = Machine(remote, tmp_path / "state")  # a clock that stands still: nothing else becomes due
    machine.list_all()
    machine.sync.start()
    machine.mkdir("e")
    fill(machine)
    assert machine.sync.barrier(machine.node("d/f3").ino, timeout_s=PATIENCE_S).done
    assert set(remote.box.tree()) == {"d", "d/f3"}
    assert machine.sync.barrier(machine.node("d").ino, timeout_s=PATIENCE_S).done
    assert set(remote.box.tree()) == {path for path in machine.files() if path != "e"}
    assert machine.sync.stop(PATIENCE_S)
    machine.close()


def test_barrier_tells_what_failed_and_does_not_wait_for_it(running: Machine, remote: MemoryRemote) -> None:
    remote.fail("upload_file", Denied("no right here"), times=10**6)
    ino = running.write("a", b"1")
    end = running.sync.barrier(None, timeout_s=PATIENCE_S)
    assert not end.done
    assert [(one.path, one.state) for one in end.left] == [("a", State.ERROR)]
    assert "no right here" in (end.left[0].error or "")
    with pytest.raises(Denied):
        running.sync.upload_now(ino)
    remote.faults.clear()
    assert running.sync.retry() == 1
    until(lambda: remote.box.tree() == {"a": b"1"})


def test_barrier_sends_again_what_failed_however_long_the_settle_window(running: Machine, remote: MemoryRemote) -> None:
    running.sync.pushing._settle_s = lambda: 600.0
    remote.fail("upload_file", RemoteError("500"))
    running.write("a", b"1")
    assert running.sync.barrier(None, timeout_s=30, patient=True).done
    assert remote.counts()["upload_file"] == 2


def test_barrier_offline_ends_and_says_so(running: Machine, remote: MemoryRemote) -> None:
    remote.offline = True
    running.write("a", b"1")
    end = running.sync.barrier(None, timeout_s=PATIENCE_S)
    assert not end.done
    assert end.why
    assert running.sync.status().pending[0].state is State.WAITING
    remote.offline = False
    assert running.sync.barrier(None, timeout_s=PATIENCE_S, patient=True).done


def test_an_outage_costs_no_storm_of_calls(remote: MemoryRemote, tmp_path: Path) -> None:
    machine = Machine(remote, tmp_path / "state")
    machine.list_all()
    fill(machine)
    machine.clock.pass_(10)
    remote.offline = True
    remote.calls.clear()
    for _ in range(50):
        machine.sync.pushing._hand_out()
        for lane in (machine.sync.pushing._quick, machine.sync.pushing._uploads):
            for call in lane.drain():
                machine.sync.pushing._make(call)
        machine.clock.pass_(0.1)
    assert 1 <= len(remote.calls) <= 4, "five seconds, with pauses that double"
    machine.close()


def test_stop_is_prompt_while_an_upload_hangs_and_nothing_is_lost(remote: MemoryRemote, tmp_path: Path) -> None:
    machine = Machine(remote, tmp_path / "state", clock=WallClock())
    machine.list_all()
    hangs, go = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        go.wait(PATIENCE_S)

    remote.during["upload_file"] = hang
    machine.sync.start()
    machine.write("a", b"1")
    ticket = machine.sync.pushing.hurry(None)
    assert hangs.wait(PATIENCE_S)
    machine.sync.pushing.no_hurry(ticket)
    assert not machine.sync.stop(0.2), "it says that a thread is still busy"
    go.set()
    assert machine.sync.stop(PATIENCE_S)
    machine.restart()
    machine.sync.start()
    assert machine.sync.barrier(None, timeout_s=PATIENCE_S).done
    assert remote.box.tree() == {"a": b"1"}
    assert machine.sync.stop(PATIENCE_S)
    machine.close()


def test_rescue_saves_what_box_has_not_got(here: Machine, remote: MemoryRemote, tmp_path: Path) -> None:
    fill(here)
    remote.fail("*", Unreachable("down"), times=10**6)
    saved = here.sync.rescue(tmp_path / "saved")
    assert len(saved) == 20
    assert all(error is None for _, error in saved)
    assert (tmp_path / "saved/d/f7").read_bytes() == b"7"


def test_status_counts_and_names(here: Machine, remote: MemoryRemote) -> None:
    here.write("gone", b"x")
    here.settle()
    fill(here)
    here.delete("gone")
    status = here.sync.status()
    assert status.pending_count == 22
    assert status.pending_bytes == sum(len(b"%d" % n) for n in range(20))
    assert {one.path: one.what for one in status.pending}["gone"] == ("deleted",)
    assert {one.path: one.what for one in status.pending}["d/f1"] == ("new",)
    assert status.online
    assert status.stale_folders == 0


def test_uploading_is_what_a_call_is_under_way_for(running: Machine, remote: MemoryRemote) -> None:
    """Not what was handed out and waits for its turn: a clone has hundreds of those."""
    go = threading.Event()
    as_ever = remote.on_call

    def wait(method: str) -> None:
        as_ever(method)
        if method == "upload_file":
            go.wait(PATIENCE_S)

    remote.on_call = wait

    def uploading() -> list[PendingItem]:
        return [one for one in running.sync.status().pending if one.state is State.UPLOADING]

    fill(running)
    running.sync.pushing.hurry(None)
    until(lambda: running.sync.pushing._uploads.backlog() > 0)
    until(lambda: len(uploading()) == 4)
    assert running.sync.status().pending_count > 4
    go.set()
    assert running.sync.barrier(None, timeout_s=PATIENCE_S).done
    assert not uploading()


def test_status_names_what_failed_whatever_else_is_pending(
    here: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "SHOWN", 5)
    fill(here)
    here.writing.update(node.ino for node in here.tree.pending())
    here.write("last", b"x")
    remote.fail("upload_file", Denied("no right here"))
    here.clock.pass_(130)
    here.push()
    status = here.sync.status()
    assert status.pending_count > len(status.pending) == 5
    assert (status.pending[0].path, status.pending[0].state) == ("last", State.ERROR)


def test_barrier_does_not_wait_for_a_full_account(running: Machine, remote: MemoryRemote) -> None:
    fill(running)
    remote.fail("upload_file", QuotaExceeded("full"), times=10**6)
    end = running.sync.barrier(None, timeout_s=PATIENCE_S)
    assert not end.done
    assert len(end.left) == 20
    assert "full" in (end.why or "")
    with pytest.raises(QuotaExceeded):
        running.sync.upload_now(running.node("d/f9").ino)
    remote.faults.clear()
    assert running.sync.barrier(None, timeout_s=PATIENCE_S).done


def test_who_writes_much_is_not_held_up_by_a_plan_at_every_change(
    remote: MemoryRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(remote, tmp_path / "state")
    machine.list_all()
    machine.tree.options = replace(machine.tree.options, settle_s=1000.0)
    plans: list[Plan] = []
    plan = machine.sync.pushing.plan

    def counted() -> Plan:
        plans.append(plan())
        return plans[-1]

    monkeypatch.setattr(machine.sync.pushing, "plan", counted)
    machine.sync.start()
    for number in range(101):
        machine.write(f"f{number}", b"1")
        machine.sync.pushing.wait(0.001)  # a time in which the planner could have come
    assert not plans
    assert machine.sync.barrier(None, timeout_s=PATIENCE_S).done  # and nobody who waits for it has to wait longer
    assert len(remote.box.tree()) == 101
    assert machine.sync.stop(PATIENCE_S)
    machine.close()
