"""Large files go in parts, and go on where they stopped, whatever stops them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from boxfs.base.errors import BadReply, FsError, InDoubt, Unreachable
from boxfs.base.types import ROOT_FOLDER, Kind
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine

SIZE = 10_500  # in parts of 1,000 bytes
DATA = random.Random(5).randbytes(SIZE)
PARTS = 11


@pytest.fixture
def large(here: Machine, remote: MemoryRemote) -> Machine:
    lower(here)
    here.write("big", DATA)
    here.clock.pass_(5)
    return here


def lower(machine: Machine) -> None:
    machine.sync.sending.making.uploading._chunked_from = 5000


def test_new_file_in_parts(large: Machine, remote: MemoryRemote) -> None:
    large.push()
    assert remote.counts() == {"create_session": 1, "upload_part": PARTS, "commit_session": 1}
    assert remote.box.tree() == {"big": DATA}
    assert not large.tree.pending_count()


def test_new_version_in_parts(large: Machine, remote: MemoryRemote) -> None:
    large.settle()
    large.write("big", DATA[::-1])
    large.settle()
    assert remote.box.tree() == {"big": DATA[::-1]}
    assert len(remote.box.at("big").versions) == 2


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_goes_on_with_the_missing_parts(large: Machine, remote: MemoryRemote, crash: bool, after: bool) -> None:
    remote.fail("upload_part", Unreachable("down"), skip=5, times=100, after=after)
    large.push()
    done = remote.counts()["upload_part"]
    remote.faults.clear()
    remote.calls.clear()
    if crash:
        large.restart()
        lower(large)
    large.settle()
    assert remote.box.tree() == {"big": DATA}
    assert remote.counts()["create_session"] == 0
    assert PARTS - done <= remote.counts()["upload_part"] <= PARTS - 4


def test_expired_session_begins_anew(large: Machine, remote: MemoryRemote) -> None:
    remote.fail("upload_part", Unreachable("down"), skip=5, times=100)
    large.push()
    remote.faults.clear()
    remote.sessions.clear()
    large.settle()
    assert remote.box.tree() == {"big": DATA}


@pytest.mark.parametrize("error", [InDoubt("lost"), Unreachable("down")])
@pytest.mark.parametrize("version", [False, True])
def test_lost_reply_of_the_commit_makes_no_second_file(
    large: Machine, remote: MemoryRemote, error: FsError, version: bool
) -> None:
    if version:
        large.settle()
        large.write("big", DATA[::-1])
        large.clock.pass_(5)
    remote.fail("commit_session", error, after=True)
    large.push()
    large.settle()
    assert remote.box.tree() == {"big": DATA[::-1] if version else DATA}
    assert len(remote.box.at("big").versions) == (2 if version else 1)


def test_parts_that_box_does_not_see_yet(large: Machine, remote: MemoryRemote) -> None:
    remote.fail("commit_session", BadReply("parts_mismatch"), times=2)
    large.push()
    assert remote.box.tree() == {"big": DATA}
    assert remote.counts()["upload_part"] == PARTS


def test_parts_that_box_never_sees_begin_anew(large: Machine, remote: MemoryRemote) -> None:
    remote.fail("commit_session", BadReply("parts_mismatch"), times=5)
    large.push()
    assert large.sync.status().errors == 1
    large.settle()
    assert remote.box.tree() == {"big": DATA}
    assert remote.counts()["create_session"] == 2


def test_edit_meanwhile_leaves_the_old_session(large: Machine, remote: MemoryRemote) -> None:
    remote.fail("upload_part", Unreachable("down"), skip=5, times=100)
    large.push()
    remote.faults.clear()
    large.write("big", DATA[::-1])
    large.settle()
    assert remote.box.tree() == {"big": DATA[::-1]}
    assert len(remote.box.at("big").versions) == 1
    assert remote.counts()["abort_session"] == 1
    assert not remote.sessions


def test_changed_at_box_before_the_commit_is_a_conflict(large: Machine, remote: MemoryRemote) -> None:
    large.settle()
    large.write("big", DATA[::-1])
    large.clock.pass_(5)
    remote.during["commit_session"] = lambda: remote.box.overwrite(remote.box.at("big"), b"theirs")
    large.push()
    large.settle()
    copy = "big (conflicted copy here 2026-09-21)"
    assert remote.box.tree() == {"big": b"theirs", copy: DATA[::-1]} == large.files()


def test_name_taken_before_the_commit(large: Machine, remote: MemoryRemote) -> None:
    remote.during["commit_session"] = lambda: remote.box.create(Kind.FILE, ROOT_FOLDER, "big", b"theirs")
    large.push()
    large.settle()
    copy = "big (conflicted copy here 2026-09-21)"
    assert remote.box.tree() == {"big": b"theirs", copy: DATA} == large.files()


def test_file_deleted_at_box_before_the_commit_is_uploaded_anew(large: Machine, remote: MemoryRemote) -> None:
    large.settle()
    large.write("big", DATA[::-1])
    large.clock.pass_(5)
    remote.during["commit_session"] = lambda: remote.box.delete(remote.box.at("big"))
    large.push()
    large.settle()
    assert remote.box.tree() == {"big": DATA[::-1]} == large.files()


def test_progress_is_told(large: Machine, remote: MemoryRemote) -> None:
    seen: list[int] = []
    remote.during["commit_session"] = lambda: seen.append(large.sync.status().pending[0].sent)
    large.push()
    assert seen == [SIZE]


def test_the_journal_is_empty_when_all_is_sent(large: Machine, tmp_path: Path) -> None:
    large.settle()
    assert large.tree.records.sessions() == []


def test_stop_gives_up_at_once_and_the_next_start_goes_on(large: Machine, remote: MemoryRemote) -> None:
    def stop() -> None:
        large.sync._stopping = True

    remote.during["upload_part"] = stop
    large.push()
    assert large.tree.pending_count() == 1
    assert large.sync.status().errors == 0
    large.restart()
    lower(large)
    remote.calls.clear()
    large.settle()
    assert remote.counts()["create_session"] == 0
    assert remote.box.tree() == {"big": DATA}


@pytest.mark.parametrize("taken", [False, True])
def test_renamed_between_two_runs_sends_no_part_again(large: Machine, remote: MemoryRemote, taken: bool) -> None:
    remote.fail("upload_part", Unreachable("down"), skip=8, times=100)
    large.push()
    remote.faults.clear()
    large.rename("big", "other")
    if taken:
        with remote.someone() as box:
            box.create(Kind.FILE, ROOT_FOLDER, "big", b"theirs")
    large.settle()
    assert remote.box.tree() == {"other": DATA} | ({"big": b"theirs"} if taken else {}) == large.files()
    assert remote.counts()["create_session"] == (2 if taken else 1)
