"""What is pending reaches Box, in few calls, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from boxfs.base.errors import (
    Denied,
    FsError,
    InDoubt,
    Locked,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from boxfs.base.types import ROOT_FOLDER, Kind
from boxfs.core.calls import Call
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import SECOND, Machine


def test_new_file_is_one_call(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.settle()
    assert remote.written() == ["upload_file"]
    assert remote.box.tree() == {"a": b"1"}


def test_tree_of_200_files_costs_one_call_each(here: Machine, remote: MemoryRemote) -> None:
    here.mkdir("top")
    for d in range(10):
        here.mkdir(f"top/d{d}")
        for f in range(20):
            here.write(f"top/d{d}/f{f}", b"x%d" % f)
    here.settle()
    assert len(remote.written()) == 211
    remote.calls.clear()
    here.rename("top", "moved")
    here.settle()
    assert remote.written() == ["update"]
    remote.calls.clear()
    here.delete("moved")
    here.settle()
    assert remote.written() == ["delete"]
    assert [held.name for held in remote.box.items.values() if held.trashed] == ["moved"]


def test_created_and_deleted_within_the_window_is_no_call(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.push()
    here.delete("a")
    here.settle()
    assert remote.written() == []


def test_our_own_echo_changes_nothing(here: Machine, remote: MemoryRemote) -> None:
    ino = here.write("a", b"1")
    here.settle()
    here.write("a", b"2")
    here.settle()
    here.heard.notes.clear()
    here.hear()
    assert here.heard.notes == []
    assert here.node("a").ino == ino
    assert remote.box.tree() == {"a": b"2"}


def test_equal_bytes_make_no_version(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.settle()
    here.write("a", b"1")
    here.settle()
    assert len(remote.box.at("a").versions) == 1


LOST = InDoubt("the reply was lost")


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_lost_reply_of_a_new_file_makes_no_second_one(
    here: Machine, remote: MemoryRemote, edited: bool, crash: bool
) -> None:
    here.write("a", b"1")
    remote.fail("upload_file", LOST, after=True)
    here.clock.pass_(5)
    here.push()
    if edited:
        here.write("a", b"2")
    if crash:
        here.restart()
    here.settle()
    assert remote.box.tree() == {"a": b"2" if edited else b"1"}
    assert len(remote.box.at("a").versions) == (2 if edited else 1)


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_lost_reply_of_a_version_makes_no_second_one(
    here: Machine, remote: MemoryRemote, edited: bool, crash: bool
) -> None:
    here.write("a", b"1")
    here.settle()
    here.write("a", b"2")
    remote.fail("upload_version", LOST, after=True)
    if crash:
        remote.fail("item", Unreachable("down"))
    here.clock.pass_(5)
    here.push()
    if edited:
        here.write("a", b"3")
    if crash:
        here.restart()
    here.settle()
    assert remote.box.tree() == {"a": b"3" if edited else b"2"}
    assert len(remote.box.at("a").versions) == (3 if edited else 2)


@pytest.mark.parametrize("what", ["folder", "rename", "delete", "tree"])
@pytest.mark.parametrize("crash", [False, True])
def test_lost_replies_of_the_quick_calls(here: Machine, remote: MemoryRemote, what: str, crash: bool) -> None:
    here.mkdir("d")
    here.write("d/f", b"1")
    here.settle()
    remote.fail("write", LOST, after=True)
    match what:
        case "folder":
            here.mkdir("e")
        case "rename":
            here.rename("d", "e")
        case "delete":
            here.delete("d/f")
        case "tree":
            here.delete("d")
    want = {path: None if data is None else data for path, data in here.files().items()}
    here.clock.pass_(30)
    here.push()
    if crash:
        here.restart()
    here.settle()
    assert remote.box.tree() == want == here.files()


@pytest.mark.parametrize("error", [Denied("no right"), QuotaExceeded("full"), Locked("locked")])
def test_refusal_stays_pending_with_a_reason_and_is_retried(
    here: Machine, remote: MemoryRemote, error: FsError
) -> None:
    here.write("a", b"1")
    remote.fail("upload_file", error, times=3)
    here.clock.pass_(5)
    here.push()
    status = here.sync.status()
    assert status.online
    assert status.errors == 1
    assert status.pending[0].error
    remote.calls.clear()
    here.clock.pass_(10)
    here.push()
    assert remote.calls == [], "what was refused for good reason is not asked again at once"
    assert here.sync.retry() == 1
    here.push()
    assert remote.written() == ["upload_file"]
    here.settle()
    assert remote.box.tree() == {"a": b"1"}


@pytest.mark.parametrize("error", [Unreachable("down"), RateLimited("slow", 30.0), Unauthorized("who")])
def test_what_concerns_everything_is_nobodys_failure(here: Machine, remote: MemoryRemote, error: FsError) -> None:
    here.write("a", b"1")
    remote.fail("upload_file", error)
    here.clock.pass_(5)
    here.push()
    status = here.sync.status()
    assert not status.online
    assert status.why_offline
    assert status.errors == 0
    here.settle()
    assert remote.box.tree() == {"a": b"1"}


def test_edit_while_sending_stays_pending(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.clock.pass_(5)
    remote.during["upload_file"] = lambda: here.write("a", b"2")
    here.push()
    assert here.tree.pending_count() == 1
    here.settle()
    assert remote.box.tree() == {"a": b"2"}
    assert [data for _, data in remote.box.at("a").versions] == [b"1", b"2"]


def test_deleted_while_sending_goes_to_the_trash(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.clock.pass_(5)
    remote.during["upload_file"] = lambda: here.delete("a")
    here.push()
    here.settle()
    assert remote.box.tree() == {}
    assert here.files() == {}


def test_renamed_while_sending(here: Machine, remote: MemoryRemote) -> None:
    here.write("a", b"1")
    here.clock.pass_(5)
    remote.during["upload_file"] = lambda: here.rename("a", "b")
    here.push()
    here.settle()
    assert remote.box.tree() == {"b": b"1"}


def test_name_that_box_changes_is_read_back(here: Machine, remote: MemoryRemote) -> None:
    original = remote.box.create

    def trimming(kind: Kind, parent: object, name: str, *more: object) -> object:
        return original(kind, parent, name.replace("~", ""), *more)  # type: ignore[arg-type]

    remote.box.create = trimming  # type: ignore[method-assign, assignment]
    here.write("a~", b"1")
    here.settle()
    assert remote.box.tree() == {"a": b"1"} == here.files()


def test_folder_gone_at_box_is_made_again_for_what_is_new_in_it(here: Machine, remote: MemoryRemote) -> None:
    here.mkdir("d")
    here.write("d/old", b"0")
    here.settle()
    here.write("d/new", b"1")
    with remote.someone() as box:
        box.delete(box.at("d"), recursive=True)
    here.clock.pass_(5)
    here.push()  # not heard of the deletion yet
    here.settle()
    assert remote.box.tree() == {"d": None, "d/new": b"1"} == here.files()


def test_no_right_to_put_something_there_is_no_reason_to_make_folders(here: Machine, remote: MemoryRemote) -> None:
    from boxfs.base.errors import NotFound

    here.mkdir("d")
    here.settle()
    here.write("d/f", b"1")
    remote.calls.clear()
    remote.fail("upload_file", NotFound("parent"))
    here.clock.pass_(5)
    here.push()
    assert here.sync.status().errors == 1
    assert "create_folder" not in remote.counts()
    assert remote.box.holder(ROOT_FOLDER, "d") is not None


def test_full_account_is_asked_by_one_file_not_by_all(here: Machine, remote: MemoryRemote) -> None:
    here.mkdir("d")
    for n in range(30):
        here.write(f"d/f{n}", b"x%d" % n)
    remote.fail("upload_file", QuotaExceeded("full"), times=10**6)
    here.clock.pass_(5)
    for _ in range(20):
        here.push()
        here.clock.pass_(1)
    assert remote.counts()["upload_file"] == 1
    assert here.sync.status().errors == 1
    remote.faults.clear()
    here.settle()
    assert len(remote.box.tree()) == 31


def test_an_upload_without_bytes_does_not_say_that_a_full_account_has_room(here: Machine, remote: MemoryRemote) -> None:
    for name in "abc":
        here.write(name, name.encode())
    remote.fail("upload_file", QuotaExceeded("full"))
    here.clock.pass_(5)
    here.push()
    assert remote.counts()["upload_file"] == 1
    here.write("empty", b"")
    here.clock.pass_(5)
    here.push()
    assert remote.box.tree() == {"empty": b""}
    for _ in range(10):
        here.clock.pass_(5)
        here.push()
    assert remote.counts()["upload_file"] == 2  # the first of the three, and the empty one
    here.settle()
    assert len(remote.box.tree()) == 4


def test_a_call_that_is_not_wanted_any_more_does_not_say_that_a_full_account_has_room(
    here: Machine, remote: MemoryRemote
) -> None:
    for name in "abc":
        here.write(name, name.encode())
    remote.fail("upload_file", QuotaExceeded("full"))
    here.clock.pass_(5)
    calls = here.sync.pushing.plan().calls
    assert here.sync.sending.claim(calls[0])
    here.sync.sending.run(calls[0])
    full_until_ns = here.sync.sending.full_until_ns
    assert full_until_ns > here.clock()
    here.write("empty", b"")
    here.clock.pass_(5)
    (call,) = here.sync.pushing.plan().calls
    here.rename("empty", "moved")
    assert here.sync.sending.claim(call)
    here.sync.sending.run(call)
    assert here.sync.sending.full_until_ns == full_until_ns


def test_uploads_that_find_the_account_full_at_the_same_time_count_as_one(here: Machine, remote: MemoryRemote) -> None:
    for name in "abcd":
        here.write(name, name.encode())
    remote.fail("upload_file", QuotaExceeded("full"), times=4)
    here.clock.pass_(5)
    sending = here.sync.sending
    calls = here.sync.pushing.plan().calls
    make = sending.making.make
    under_way = iter(calls[1:])

    def at_once(call: Call) -> int:
        following = next(under_way, None)
        if following is not None:  # begins before this one has its answer
            assert sending.claim(following)
            sending.run(following)
        return make(call)

    sending.making.make = at_once  # type: ignore[method-assign]
    assert sending.claim(calls[0])
    sending.run(calls[0])
    assert remote.counts()["upload_file"] == 4
    assert sending.full_until_ns - here.clock() < 200 * SECOND
