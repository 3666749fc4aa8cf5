"""What a full disk does: who writes is told, nothing that was accepted is lost, and removing works."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boxfs.base.errors import NoSpace
from boxfs.store import spool
from tests.support.drive import Drive


class FullDisk:
    """os.pwrite that has room for no byte, until `room` says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 0
        self._real = os.pwrite
        monkeypatch.setattr(spool.os, "pwrite", self.pwrite)  # type: ignore[attr-defined]

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._real(fd, data, offset)


@contextmanager
def no_room_for(method: str, drive: Drive) -> Iterator[None]:
    """The records' method finds the disk full."""

    def full(*_: object) -> None:
        raise NoSpace("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drive.tree.records, method, full)
        yield


def limit_records(drive: Drive, pages: int) -> None:
    drive.tree.records._db.execute(f"PRAGMA max_page_count = {pages}")


def page_count(drive: Drive) -> int:
    return int(drive.tree.records._db.execute("PRAGMA page_count").fetchone()[0])


def test_a_write_without_room_is_refused_and_the_file_goes_on(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.write("f", b"accepted")
    handle = drive.open("f", os.O_RDWR)
    disk = FullDisk(monkeypatch)
    with pytest.raises(NoSpace):
        drive.put(handle, b"more", 8)
    assert drive.get(handle) == b"accepted"
    disk.room = 1
    drive.put(handle, b"!", 8)
    drive.close_handle(handle)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"accepted!"}


def test_the_read_cache_gives_way_first(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)
    asked: list[int] = []

    def make_room(wanted: int) -> int:
        asked.append(wanted)
        disk.room = 1
        return wanted

    drive.spool.make_room = make_room
    drive.write("f", b"x")
    assert len(asked) == 1


def test_records_without_room_refuse_what_is_new_and_let_go_what_is_removed(drive: Drive) -> None:
    drive.write("f", b"x")
    handle = drive.open("f", os.O_RDWR)
    drive.put(handle, b"written", 0)
    limit_records(drive, page_count(drive))
    made: list[str] = []
    with pytest.raises(NoSpace):  # noqa: PT012
        for number in range(10_000):
            name = f"{number:03} " + "a long name, so that pages fill" * 5
            drive.mkdir(name)
            made.append(name)
    assert drive.ls() == sorted([*made, "f"])
    # The room that was kept for removing.
    monkeypatched = drive.tree.records.release_ballast

    def release_ballast() -> bool:
        limit_records(drive, page_count(drive) + 100)
        return monkeypatched()

    drive.tree.records.release_ballast = release_ballast  # type: ignore[method-assign]
    for name in made:
        drive.rmdir(name)
    drive.close_handle(handle)
    assert drive.ls() == ["f"]
    assert drive.read("f") == b"written"


def test_what_could_not_be_recorded_at_close_is_recorded_once_there_is_room(drive: Drive) -> None:
    drive.write("f", b"old")
    handle = drive.open("f", os.O_RDWR)
    drive.put(handle, b"new", 0)
    with no_room_for("save_spool", drive):
        with pytest.raises(NoSpace):
            drive.fs.flush(handle)
        drive.fs.release(handle)
        reader = drive.open("f")
        assert drive.get(reader) == b"new"
        drive.close_handle(reader)
    drive.fs.keep_house()
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new"}
    drive.fs.files.drop_retired(1 << 62)
    assert drive.spooled() == []


def test_what_could_not_be_recorded_at_close_but_at_the_next_is_let_go_once(drive: Drive) -> None:
    drive.write("f", b"old")
    handle = drive.open("f", os.O_RDWR)
    drive.put(handle, b"new", 0)
    with no_room_for("save_spool", drive):
        drive.fs.release(handle)
        drive.fs.release(drive.open("f"))
    drive.fs.release(drive.open("f"))
    held = drive.open("f")
    drive.fs.keep_house()
    drive.unlink("f")
    drive.spool.clear_out()
    assert drive.get(held) == b"new"
    drive.close_handle(held)
    assert drive.fs.files.spools._uses == {}
    assert drive.spooled() == []


def test_inode_numbers_whose_reservation_found_no_room_are_not_given_out(drive: Drive, tmp_path: Path) -> None:
    drive.ls()
    with no_room_for("set_fact", drive), pytest.raises(NoSpace):
        drive.mkdir("a")
    drive.mkdir("a")
    drive.crash()
    again = Drive(tmp_path, drive.remote)
    again.mkdir("b")
    assert again.ls() == ["a", "b"]
    again.close()
    drive.tree = again.tree  # closed already, as the fixture does


def test_the_room_for_removing_is_taken_again_when_there_is_some(drive: Drive) -> None:
    ballast = drive.tree.records.folder / "ballast"
    assert ballast.exists()
    assert drive.tree.records.release_ballast()
    assert not ballast.exists()
    drive.fs.keep_house()
    assert ballast.exists()
