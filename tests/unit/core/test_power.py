"""What a power cut leaves is less than what a kill leaves; nothing that was promised may be in the difference.

tests/crash tries every moment; here are the rules that came of it, one by one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from boxfs.base.errors import InDoubt, Unreachable
from boxfs.store.lasting import make_folder
from boxfs.store.spool import Spool
from tests.support.drive import ME, Drive


@pytest.fixture
def drive(drive: Drive) -> Drive:
    drive.ls()
    return drive


def test_the_journal_is_on_the_disk_before_box_is_sent_anything(drive: Drive) -> None:
    happened: list[str] = []
    drive.remote.on_call = happened.append
    sync = drive.tree.records.sync
    drive.tree.records.sync = lambda: (happened.append("sync"), sync())[1]  # type: ignore[method-assign,func-returns-value]
    drive.write("f", b"1")
    drive.push()
    drive.write("f", b"2")
    drive.push()
    assert happened == ["sync", "upload_file", "sync", "upload_version"]


def test_bytes_go_only_after_the_end_of_their_row_is_on_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    file = spool.new()
    file.write(memoryview(b"x"), 0)
    file.close()
    there: list[bool] = []
    spool.sync_rows = lambda: there.append(spool.path(file.number).exists())
    spool.let_go(file.number)
    assert spool.path(file.number).exists()
    assert spool.clear_out() == 1
    assert there == [True]
    assert not spool.path(file.number).exists()
    assert spool.clear_out() == 0


@pytest.mark.parametrize("known", [False, True])
def test_an_edit_that_box_has_and_the_disk_has_lost_is_that_of_box(drive: Drive, tmp_path: Path, known: bool) -> None:
    if known:
        drive.write("f", b"before")
        drive.push()
    drive.write("f", b"precious")
    drive.remote.fail("write", InDoubt("lost"), after=True)
    drive.remote.fail("item", Unreachable("so it cannot be asked whether it came"))
    drive.clock.pass_(3)
    drive.push_once()
    held = drive.node("f").content
    assert held is not None
    drive.crash()
    (tmp_path / "spool" / str(held.spool)).write_bytes(bytes(8))  # as long as it was, and not what it was
    again = Drive(tmp_path, drive.remote)
    again.hear()
    again.push()
    assert again.remote.box.tree() == {"f": b"precious"}
    assert again.read("f") == b"precious"
    assert len(again.remote.box.at("f").versions) == 1 + known
    again.close()


def test_what_replaces_uploaded_bytes_does_not_lie_in_their_place(drive: Drive) -> None:
    drive.write("f", b"uploaded bytes")
    drive.push()
    drive.write("f", b"new")
    content = drive.node("f").content
    assert content is not None
    assert drive.spool.path(content.spool).read_bytes() == b"new"


def test_a_link_whose_upload_lost_its_reply_is_no_conflict(drive: Drive, tmp_path: Path) -> None:
    drive.fs.symlink(*drive.at("link"), "target", ME)
    drive.remote.fail("upload_file", InDoubt("lost"), after=True)
    drive.clock.pass_(3)
    drive.push_once()
    drive.crash()
    again = Drive(tmp_path, drive.remote)
    again.hear()
    again.push()
    assert again.ls() == ["link"]
    assert stat.S_ISLNK(again.stat("link").mode)
    assert [held.name for held in again.remote.box.items.values()] == ["All Files", "link"]
    again.close()


def test_a_folder_is_made_with_all_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_start_can_sync_before_it_has_written(drive: Drive, tmp_path: Path) -> None:
    drive.crash()
    (tmp_path / "spool" / "77").write_bytes(b"orphan")
    again = Drive(tmp_path, drive.remote)
    again.tree.sync()
    assert again.spooled() == []
    again.close()


@pytest.mark.parametrize("known", [False, True])
def test_what_was_fsynced_outlives_the_loss_of_what_was_written_after(
    drive: Drive, tmp_path: Path, known: bool
) -> None:
    """Another file's fsync takes the row of the later bytes to the disk, and not those bytes."""
    if known:
        drive.write("log", b"at Box")
        drive.push()
    handle = drive.open("log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    drive.put(handle, b"synced", 0)
    drive.fs.fsync(handle, False)
    drive.put(handle, b" and more", 6)
    drive.close_handle(handle)
    content = drive.node("log").content
    assert content is not None
    drive.crash()
    os.truncate(tmp_path / "spool" / str(content.spool), 6)
    again = Drive(tmp_path, drive.remote)
    assert again.read("log") == b"synced"
    again.push()
    assert again.remote.box.tree() == {"log": b"synced"}
    assert not [row for row in again.tree.records._all("SELECT name FROM facts") if "synced" in row[0]]
    again.close()


def test_a_part_that_was_fsynced_stands_over_boxs_version_again(drive: Drive, tmp_path: Path) -> None:
    drive.write("f", b"0123456789")
    drive.push()
    drive.fs.files.drop_retired(1 << 62)
    handle = drive.open("f", os.O_RDWR)
    drive.put(handle, b"AB", 2)
    drive.fs.fsync(handle, False)
    drive.put(handle, b"and a longer end", 10)
    drive.close_handle(handle)
    content = drive.node("f").content
    assert content is not None
    drive.crash()
    os.truncate(tmp_path / "spool" / str(content.spool), 5)
    again = Drive(tmp_path, drive.remote)
    again.ls()
    assert again.read("f") == b"01AB456789"
    again.push()
    assert again.remote.box.tree() == {"f": b"01AB456789"}
    again.close()
