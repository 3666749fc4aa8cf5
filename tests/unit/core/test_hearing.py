"""What others do at Box reaches the tree, at few calls, and what was missed is not taken for true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from boxfs.base.errors import Denied, InvalidArgument, NoSpace, Unreachable
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Event, EventKind, EventPage, Kind
from boxfs.core.hearing import KEPT_NS
from boxfs.core.merge import Merge
from tests.support.memorybox import MemoryBox
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import SECOND, Machine


@pytest.fixture
def known(remote: MemoryRemote, tmp_path: Path) -> Machine:
    """A mount that has listed d with a in it, and b."""
    with remote.someone() as box:
        folder = box.create(Kind.FOLDER, ROOT_FOLDER, "d")
        box.create(Kind.FILE, folder.id, "a", b"a")
        box.create(Kind.FILE, ROOT_FOLDER, "b", b"b")
    machine = Machine(remote, tmp_path / "state")
    machine.list_all()
    remote.calls.clear()
    return machine


def test_the_stream_is_followed_from_before_the_first_listing(remote: MemoryRemote, tmp_path: Path) -> None:
    remote.during["list_folder"] = lambda: remote.box.create(Kind.FILE, ROOT_FOLDER, "just now", b"")
    machine = Machine(remote, tmp_path / "state")
    machine.list_all()
    assert [method for method, _ in remote.calls] == ["events_now", "list_folder"]
    machine.hear()
    assert list(machine.files()) == ["just now"]
    machine.close()


def test_warm_start_asks_one_question(known: Machine, remote: MemoryRemote) -> None:
    known.restart()
    known.hear()
    known.list_all()
    assert [method for method, _ in remote.calls] == ["events"]
    known.close()


CHANGES: dict[str, Callable[[MemoryBox], object]] = {
    "new file": lambda box: box.create(Kind.FILE, ROOT_FOLDER, "c", b"c"),
    "new in folder": lambda box: box.create(Kind.FILE, box.at("d").id, "c", b"c"),
    "edit": lambda box: box.overwrite(box.at("d/a"), b"other"),
    "edit of the same size": lambda box: box.overwrite(box.at("b"), b"B"),
    "rename": lambda box: box.change(box.at("b"), name="B2"),
    "rename of a folder": lambda box: box.change(box.at("d"), name="e"),
    "move": lambda box: box.change(box.at("d/a"), parent_id=ROOT_FOLDER),
    "move into": lambda box: box.change(box.at("b"), parent_id=box.at("d").id, name="b2"),
    "delete": lambda box: box.delete(box.at("b")),
    "delete of a tree": lambda box: box.delete(box.at("d"), recursive=True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_elsewhere_shows_at_no_listing(known: Machine, remote: MemoryRemote, what: str) -> None:
    known.heard.notes.clear()
    with remote.someone() as box:
        CHANGES[what](box)
    known.hear()
    assert known.files() == remote.box.tree()
    assert set(remote.counts()) == {"events"}
    assert known.heard.notes, "the kernel is told"
    known.close()


def test_restored_tree_is_listed_when_it_is_looked_at(known: Machine, remote: MemoryRemote) -> None:
    with remote.someone() as box:
        folder = box.at("d")
        box.delete(folder, recursive=True)
    known.hear()
    with remote.someone() as box:
        box.restore(folder)
    known.hear()
    known.list_all()
    assert known.files() == remote.box.tree()
    assert remote.counts()["list_folder"] == 1
    known.close()


def test_swapped_names(known: Machine, remote: MemoryRemote) -> None:
    inos = {known.node("b").ino, known.node("d").ino}
    with remote.someone() as box:
        b, d = box.at("b"), box.at("d")
        box.change(b, name="x")
        box.change(d, name="b")
        box.change(b, name="d")
    known.hear()
    assert known.files() == remote.box.tree()
    assert inos == {known.node("b").ino, known.node("d").ino}
    known.close()


def test_moved_where_the_mount_has_not_looked(known: Machine, remote: MemoryRemote) -> None:
    with remote.someone() as box:
        deep = box.create(Kind.FOLDER, box.create(Kind.FOLDER, ROOT_FOLDER, "new").id, "deep")
    known.hear()
    known.write("b", b"ours")
    with remote.someone() as box:
        box.change(box.at("b"), parent_id=deep.id)
    known.settle()
    known.list_all()
    assert known.files() == remote.box.tree()
    assert remote.box.tree()["new/deep/b"] == b"ours"
    known.close()


def test_too_long_away_makes_everything_stale_and_says_so(known: Machine, remote: MemoryRemote) -> None:
    known.clock.pass_(KEPT_NS / SECOND + 60)
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
        box.stream.clear()
    known.hear()
    assert ("everything",) in known.heard.notes
    assert known.node("d").stale == "events were missed"
    known.list_all()
    assert known.files() == remote.box.tree()
    known.close()


def test_position_that_box_refuses(known: Machine, remote: MemoryRemote) -> None:
    remote.fail("events", InvalidArgument("stream_position"))
    known.hear()
    assert known.node("").stale
    known.list_all()
    assert known.files() == remote.box.tree()
    known.close()


def test_collaboration_lists_the_root(known: Machine, remote: MemoryRemote) -> None:
    with remote.someone() as box:
        box.create(Kind.FOLDER, ROOT_FOLDER, "shared with me")
        box.stream.clear()
        box.tell(box.at("b"), "COLLAB_ADD_COLLABORATOR", EventKind.COLLABORATION)
    known.hear()
    assert known.files() == remote.box.tree()
    assert remote.counts()["list_folder"] == 1
    known.close()


def test_event_that_names_nothing_trusts_no_listing(known: Machine, remote: MemoryRemote) -> None:
    position = remote.box.position + 5
    remote.tell = lambda _box, _entries: ()
    page = EventPage(position, (Event("e", EventKind.TRASHED, "ITEM_TRASH", None),))
    known.sync.incoming.heard(page.events, page.next_position)
    assert known.node("d").stale
    assert known.sync.incoming.position() is not None
    known.close()


def test_idle_costs_two_questions_an_hour(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    def silence(_position: int, *, stop: Callable[[], bool], wake: object) -> bool:
        nonlocal rounds
        rounds += 1
        known.clock.pass_(610)
        if rounds == 59:  # ten hours
            known.sync.hearing.stop()
        return False

    monkeypatch.setattr(remote, "wait_for_events", silence)
    known.sync.hearing._loop()
    assert remote.counts()["events"] <= 2 * 10 + 1
    known.close()


def test_called_for_nothing_is_asked_with_growing_pauses(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(known.sync.hearing, "_pause", pauses.append)

    def cry_wolf(_position: int, *, stop: Callable[[], bool], wake: object) -> bool:
        if len(pauses) >= 6:
            known.sync.hearing.stop()
        return True

    monkeypatch.setattr(remote, "wait_for_events", cry_wolf)
    known.sync.hearing._loop()
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 10
    known.close()


def test_the_thread_hears_catches_up_after_an_outage_and_stops(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = threading.Event()
    monkeypatch.setattr(known.heard, "entry_appeared", lambda _parent, _name: changed.set())
    known.sync.hearing.start()
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
    assert changed.wait(60)
    remote.offline = True
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "e", b"e")
    deadline = time.monotonic() + 60
    while known.sync.gateway.state.online:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    changed.clear()
    remote.offline = False
    known.clock.pass_(120)
    known.sync.gateway.retry()
    assert changed.wait(60)
    assert known.files() == remote.box.tree()
    known.sync.hearing.stop()
    assert known.sync.hearing.join(30)
    known.close()


def test_news_that_cannot_be_stored_are_read_again(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
    position = known.sync.incoming.position()

    def full(*_: object) -> None:
        raise NoSpace("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(known.sync.incoming, "_store", full)
        with pytest.raises(NoSpace):
            known.hear()
    assert not known.has("c"), "the change and its position are one transaction"
    assert known.sync.incoming.position() == position
    known.hear()
    assert known.node("c").parent == ROOT_INO
    known.close()


@pytest.mark.parametrize("alive", [False, True])
def test_late_event_of_something_unknown_is_asked_about(known: Machine, remote: MemoryRemote, alive: bool) -> None:
    with remote.someone() as box:
        held = box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
        item = box.item(held)
        if not alive:
            box.delete(held)
    now = known.clock()
    incoming, position = known.sync.incoming, remote.box.position
    incoming.heard([Event("new", EventKind.OTHER, "ITEM_DOWNLOAD", None, created_ns=now)], position)
    late = Event("late", EventKind.CHANGED, "ITEM_UPLOAD", item, created_ns=now - 3600 * SECOND)
    incoming.heard([late], position)
    assert not known.has("c")
    incoming.settle_strays()
    assert known.has("c") is alive
    assert remote.counts() == {"item": 1}
    known.close()


def test_what_came_back_from_the_trash_before_it_was_heard_of_is_shown(known: Machine, remote: MemoryRemote) -> None:
    """An event carries the item as of today: that of the trash looks like one of the return."""
    remote.tell = lambda box, entries: tuple(box.event(told, fresh=True) for told in entries)
    with remote.someone() as box:
        held = box.create(Kind.FILE, ROOT_FOLDER, "back", b"1")
        box.delete(held)
        box.restore(held)
    known.hear()
    assert known.has("back")
    assert known.read("back") == b"1"


def full(*_: object) -> None:
    raise NoSpace("the disk is full")


def test_an_answer_about_a_stray_that_cannot_be_stored_is_asked_for_again(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    with remote.someone() as box:
        held = box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
    known.sync.incoming.ask_for([held.key])
    with monkeypatch.context() as patch:
        patch.setattr(known.tree.records, "begin", full)
        with pytest.raises(NoSpace):
            known.sync.incoming.settle_strays()
    assert not known.has("c")
    known.sync.incoming.settle_strays()
    assert known.has("c")
    known.close()


def test_a_stale_folder_that_box_does_not_list_holds_up_nothing_else(known: Machine, remote: MemoryRemote) -> None:
    with known.tree.change() as change:
        merge = Merge(change, known.sync.incoming.memory)
        merge.mark_stale(known.node("d").ino, "as the test has it")
        merge.mark_stale(ROOT_INO, "as the test has it")
    remote.fail("list_folder", Denied("not yours"))
    known.sync.incoming.settle_strays()
    assert known.node("").stale is None
    assert known.node("d").stale is not None
    known.close()


@pytest.mark.parametrize("fails", ["network", "disk"])
def test_a_stale_folder_that_could_not_be_listed_is_listed_the_next_time(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    remote.box.create(Kind.FILE, ROOT_FOLDER, "c", b"c")
    with known.tree.change() as change:
        Merge(change, known.sync.incoming.memory).mark_stale(ROOT_INO, "as the test has it")
    with monkeypatch.context() as patch:
        if fails == "disk":
            patch.setattr(known.tree.records, "begin", full)
        else:
            patch.setattr(remote, "offline", True)
        with pytest.raises((NoSpace, Unreachable)):
            known.sync.incoming.settle_strays()
    known.sync.incoming.settle_strays()
    assert known.node("").stale is None
    assert known.has("c")
    known.close()


def test_a_position_that_is_fresh_is_not_asked_about_until_it_is_a_second_old(
    known: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearing = known.sync.hearing
    pauses: list[float] = []

    def nudge_after(seconds: float) -> None:
        pauses.append(seconds)
        assert remote.counts()["events"] == 0
        known.clock.pass_(1)
        hearing.stop()

    monkeypatch.setattr(hearing, "_linger_s", 1.0)
    monkeypatch.setattr(hearing._nudge, "wait", nudge_after)
    known.sync.incoming.begin(known.sync.incoming.position()[0])  # type: ignore[index]
    hearing._loop()
    assert pauses == [pytest.approx(1.0, abs=0.01)]
    hearing._linger()
    assert len(pauses) == 1, "it is old enough"
    known.close()


def test_waiting_for_uploads_does_not_cut_the_poll_while_box_is_within_reach(known: Machine) -> None:
    known.sync.hearing._nudge.clear()
    assert known.sync.barrier(None, timeout_s=0).done
    assert not known.sync.hearing._nudge.is_set()
    known.close()
