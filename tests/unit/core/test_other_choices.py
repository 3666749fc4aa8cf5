"""Where box-api.md leaves a choice to Box, the other one is taken well too."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from boxfs.base.errors import (
    BadReply,
    Busy,
    Denied,
    FsError,
    InvalidArgument,
    NoSpace,
    NotEmpty,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Event, EventKind, EventPage, Item, Kind
from boxfs.core.backoff import LASTING, is_global, schedule_of
from boxfs.core.calls import MakeFolder
from tests.support.drive import ME, Drive
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine


@pytest.fixture
def drive(drive: Drive) -> Drive:
    drive.ls()
    return drive


def tell(monkeypatch: pytest.MonkeyPatch, remote: MemoryRemote, kind: EventKind, box_type: str, item: Item) -> None:
    """The next look at the stream brings this event."""
    position = remote.box.position

    def events(asked: int) -> EventPage:
        told = (Event(f"{box_type}-{item.id}", kind, box_type, item),) if asked <= position else ()
        return EventPage(position + 1, told)

    monkeypatch.setattr(remote, "events", events)


def bare(remote: MemoryRemote, path: str, **changes: Any) -> Item:
    """The item at the path as an event's source may have it: without version, size, sequence."""
    item = remote.box.item(remote.box.at(path))
    return replace(item, **{"version_id": None, "size": None, "sequence_id": None, **changes})


def test_new_bytes_without_a_version_are_asked_for(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.write("f", b"before")
    drive.push()
    drive.hear()
    with drive.remote.someone() as box:
        box.overwrite(box.at("f"), b"a later text")
    tell(monkeypatch, drive.remote, EventKind.CHANGED, "ITEM_UPLOAD", bare(drive.remote, "f"))
    drive.hear()
    assert drive.stat("f").size == len(b"a later text")
    assert drive.read("f") == b"a later text"


def test_a_new_file_of_which_an_event_says_little_is_asked_for(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    with drive.remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "theirs", b"theirs")
    tell(monkeypatch, drive.remote, EventKind.CHANGED, "ITEM_UPLOAD", bare(drive.remote, "theirs", sha1=None, name=""))
    drive.hear()
    assert drive.read("theirs") == b"theirs"


def test_a_file_without_version_or_size_is_an_error_and_no_zeros(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    with drive.remote.someone() as box:
        folder = box.create(Kind.FOLDER, ROOT_FOLDER, "d")
        box.create(Kind.FILE, folder.id, "f", b"bytes")
        box.create(Kind.FILE, folder.id, "g", b"bytes")
    drive.incoming.list_folder(ROOT_INO)
    told = [bare(drive.remote, "d/f"), bare(drive.remote, "d/g", version_id="1")]
    monkeypatch.setattr(drive.remote, "list_folder", lambda _folder, **_options: told)
    assert drive.ls("d") == ["f", "g"]
    for name in ("d/f", "d/g"):
        with pytest.raises(BadReply):
            drive.read(name)
    drive.incoming.settle_strays()  # as the thread that listens does at once
    assert drive.read("d/f") == drive.read("d/g") == b"bytes"


@pytest.mark.parametrize("back", [False, True])
def test_a_trashed_item_that_does_not_say_so_is_asked_for(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    drive.write("f", b"1")
    drive.push()
    drive.hear()
    source = bare(drive.remote, "f")
    if not back:
        with drive.remote.someone() as box:
            box.delete(box.at("f"))
    tell(monkeypatch, drive.remote, EventKind.TRASHED, "ITEM_TRASH", source)
    drive.hear()
    assert drive.ls() == (["f"] if back else [])


def test_a_lock_is_looked_up_since_events_do_not_tell_it(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.fs.account_id = "7"
    drive.write("f", b"1")
    drive.push()
    drive.hear()
    lock: dict[str, Any] = {"id": "1", "created_by": {"id": "8", "name": "Bob"}}
    item = drive.remote.item
    for held in (lock, {}):
        monkeypatch.setattr(drive.remote, "item", lambda *key, held=held: replace(item(*key), lock=held))
        tell(monkeypatch, drive.remote, EventKind.LOCK, f"LOCK_{bool(held)}", bare(drive.remote, "f"))
        drive.remote.box.position += 1
        drive.hear()
        if held:
            with pytest.raises(Denied):
                drive.open("f", os.O_WRONLY)
    drive.write("f", b"2")


def test_a_question_that_box_refuses_does_not_stop_the_listening(drive: Drive) -> None:
    drive.write("f", b"1")
    drive.push()
    drive.incoming.ask_for([drive.node("f").remote.key])  # type: ignore[union-attr]
    drive.remote.fail("item", Denied("no"))
    drive.hear()
    assert drive.ls() == ["f"]
    assert not drive.incoming.memory.strays


def test_a_stream_that_gives_the_last_event_again_and_again_comes_to_an_end(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.write("f", b"1")
    drive.push()
    drive.hear()
    event = Event("again", EventKind.CHANGED, "ITEM_UPLOAD", drive.remote.box.item(drive.remote.box.at("f")))
    monkeypatch.setattr(drive.remote, "events", lambda position: EventPage(position, (event,)))
    drive.hear()
    assert drive.ls() == ["f"]


@pytest.mark.parametrize("call", ["upload_version", "update", "set_properties"])
def test_not_found_of_what_is_there_is_a_refusal_and_waits(drive: Drive, call: str) -> None:
    """Box says 404 for what one may not write to: asked again at once, it would be asked for ever."""
    drive.write("f", b"1")
    drive.push()
    drive.remote.calls.clear()
    drive.remote.fail(call, NotFound("not for you"), times=100)
    if call == "upload_version":
        drive.write("f", b"2")
    elif call == "update":
        drive.rename("f", "g")
    else:
        drive.fs.setattr(drive.ino("f"), mode=0o755, caller=ME)
    drive.clock.pass_(3)
    for _ in range(5):
        drive.push_once()
    assert drive.remote.counts()[call] == 1
    (node,) = drive.tree.pending()
    assert node.attempts == 1
    assert "right" in str(node.error)


def test_a_full_account_takes_what_has_no_bytes(drive: Drive) -> None:
    drive.remote.fail("upload_file", QuotaExceeded("full"))
    drive.write("f", b"1")
    drive.clock.pass_(3)
    drive.push_once()
    drive.write("empty", b"")
    drive.clock.pass_(3)
    drive.push_once()
    assert drive.remote.box.tree() == {"empty": b""}


def test_what_box_says_of_one_item_does_not_shut_the_way_for_all() -> None:
    assert is_global(Unreachable("no network"))
    assert not is_global(Busy("a large folder is being moved"))
    assert schedule_of(InvalidArgument("refused")) is LASTING


def test_a_copy_of_other_bytes_than_were_asked_for_is_mended(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.write("f", b"old")
    drive.push()
    copy = drive.remote.copy_file

    def newest(file_id: Any, parent_id: Any, name: Any, *, version_id: Any) -> Item:
        with drive.remote.someone() as box:
            box.overwrite(box.at("f"), b"newer than that")
        return copy(file_id, parent_id, name)

    monkeypatch.setattr(drive.remote, "copy_file", newest)
    source, target = drive.open("f"), drive.open("g", os.O_CREAT | os.O_WRONLY)
    drive.fs.copy_range(source, 0, target, 0, 3)
    drive.close_handle(source)
    drive.close_handle(target)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"newer than that", "g": b"old"}


def test_news_that_could_not_be_stored_are_asked_for(
    here: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write("a", b"1")
    here.settle()
    ino = here.node("a").ino
    call = MakeFolder(ino, ROOT_FOLDER, "x")
    assert here.sync.sending.claim(call)
    with remote.someone() as box:
        box.overwrite(box.at("a"), b"2")
    here.hear()

    def full(*_args: object) -> None:
        raise NoSpace("full")

    with monkeypatch.context() as patch:
        patch.setattr(here.sync.incoming, "learn", full)
        with pytest.raises(FsError):
            here.sync.sending.release(call)
    here.hear()
    assert here.node("a").size == 1
    remote_item = here.node("a").remote
    assert remote_item is not None
    assert remote_item.version_id == remote.box.at("a").versions[-1][0].id


def test_a_sender_outlives_a_failure_that_cannot_be_stored(
    here: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxfs.core.pushing.HOLD_OFF_S", 0.0)
    run = here.sync.sending.run
    fails = iter([True, True, True, True, True])

    def broken(call: Any) -> None:
        if next(fails, False):
            here.sync.sending.release(call)
            raise NoSpace("not even that")
        run(call)

    monkeypatch.setattr(here.sync.sending, "run", broken)
    here.sync.start()
    try:
        here.write("a", b"1")
        assert here.sync.barrier(None, timeout_s=60).done
    finally:
        assert here.sync.stop(30)
    assert remote.box.tree() == {"a": b"1"}


def test_rights_that_change_are_heard_of_below(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    with drive.remote.someone() as box:
        folder = box.create(Kind.FOLDER, ROOT_FOLDER, "shared")
        below = box.create(Kind.FOLDER, folder.id, "below")
        box.create(Kind.FILE, below.id, "f", b"1")
    listing = drive.remote.list_folder
    may = False
    monkeypatch.setattr(
        drive.remote,
        "list_folder",
        lambda folder, **options: [replace(each, can_upload=may) for each in listing(folder, **options)],
    )
    drive.hear()
    drive.incoming.list_folder(ROOT_INO)
    with pytest.raises(Denied):
        drive.open("shared/below/f", os.O_WRONLY)
    may = True
    source = drive.remote.box.item(folder)
    tell(monkeypatch, drive.remote, EventKind.COLLABORATION, "COLLAB_ROLE_CHANGE", source)
    drive.hear()
    drive.write("shared/below/f", b"2")


def test_a_time_that_box_does_not_keep_is_sent_once(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.write("f", b"1")
    drive.push()
    update = drive.remote.update
    monkeypatch.setattr(drive.remote, "update", lambda *key, mtime_ns, **changes: update(*key, mtime_ns=1, **changes))
    drive.fs.setattr(drive.ino("f"), mtime_ns=1_600_000_000_000_000_000, caller=ME)
    drive.push()
    assert drive.remote.counts()["update"] == 1
    assert drive.stat("f").mtime_ns == 1_600_000_000_000_000_000


def test_attributes_that_box_does_not_keep_are_sent_once(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.write("f", b"1")
    drive.push()
    sent: list[object] = []

    def forgetful(_kind: Kind, _item: object, changes: object, *, known: object) -> dict[str, str]:
        sent.append(changes)
        return {}

    monkeypatch.setattr(drive.remote, "set_properties", forgetful)
    drive.fs.setattr(drive.ino("f"), mode=0o755, caller=ME)
    drive.push()
    assert len(sent) == 1
    assert drive.stat("f").mode & 0o777 == 0o755


def test_a_folder_with_something_in_it_that_is_not_shown_is_not_asked_for_ever(drive: Drive) -> None:
    drive.mkdir("d")
    drive.push()
    drive.remote.fail("delete", NotEmpty("there is more"), times=100)
    drive.rmdir("d")
    drive.clock.pass_(30)
    for _ in range(5):
        drive.push_once()
    assert drive.remote.counts()["delete"] == 1
    (node,) = drive.tree.pending()
    assert "does not show" in str(node.error)


def test_while_box_is_known_to_be_out_of_reach_nobody_waits_for_it(drive: Drive) -> None:
    with drive.remote.someone() as box:
        for name in ("d", "e"):
            box.create(Kind.FOLDER, ROOT_FOLDER, name)
    drive.hear()
    drive.fs.why_offline = drive.sync.gateway.why_offline
    drive.fs.came_back = drive.sync.gateway.retry
    drive.sync.gateway.failed(RateLimited("slower", 60.0))
    assert drive.ls("d") == []
    drive.sync.gateway.answered()
    drive.sync.gateway.failed(Unreachable("no network"))
    drive.remote.fail("list_folder", Unreachable("no network"))
    drive.remote.calls.clear()
    for _ in range(3):
        with pytest.raises(Unreachable):
            drive.ls("e")
    assert drive.remote.counts()["list_folder"] == 1
    assert drive.ls() == ["d", "e"]
    with drive.tree.change() as change:
        root = change.node(ROOT_INO)
        assert root is not None
        change.put(replace(root, stale="for some reason"))
    assert drive.ls() == ["d", "e"]
    assert drive.remote.counts()["list_folder"] == 1
    drive.fs._try_after = 0.0
    assert drive.ls("e") == []
    assert drive.sync.gateway.enter() is None, "others may try as well"


@pytest.mark.parametrize("year", [-5000, 9999])
def test_a_time_beyond_all_reason_is_cut_off(drive: Drive, year: int) -> None:
    drive.write("f", b"1")
    drive.fs.setattr(drive.ino("f"), mtime_ns=(year - 1970) * 31_556_952 * 10**9, caller=ME)
    assert abs(drive.stat("f").mtime_ns) > 250 * 31_556_952 * 10**9
    drive.push()


def test_a_name_that_linux_cannot_have_does_not_break_its_folder(drive: Drive) -> None:
    with drive.remote.someone() as box:
        held = box.create(Kind.FILE, ROOT_FOLDER, "plain", b"1")
        held.name = "a/b\0c"
    drive.hear()
    assert drive.ls() == ["a／b␀c"]
    assert drive.push_once() == 0


@pytest.mark.parametrize("fails", [True, False])
def test_a_poll_that_fails_says_nothing_of_box(
    here: Machine, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Its host is another one, which a proxy may not let through; or a Box answers "reconnect" at once, each time."""
    hearing = here.sync.hearing
    pauses: list[float] = []
    monkeypatch.setattr(hearing._nudge, "wait", pauses.append)
    monkeypatch.setattr(hearing, "_pause", lambda _seconds: None)
    polls = 0

    def blocked(_position: int, *, stop: object, wake: object) -> bool:
        nonlocal polls
        polls += 1
        assert here.sync.gateway.state.online
        if polls == 10:
            hearing.stop()
        if fails:
            raise Unreachable("no connection to realtime")
        return False

    monkeypatch.setattr(remote, "wait_for_events", blocked)
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "theirs", b"1")
    hearing._loop()
    assert polls == 10
    assert here.has("theirs")
    assert remote.counts()["events"] <= 12
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30
    assert here.sync.gateway.state.online
