"""Who stands for which item of Box after programs saved in their ways."""

from __future__ import annotations

import os

import pytest

from boxfs.base.errors import InDoubt, Unreachable
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, ItemId, Kind
from boxfs.core.calls import UploadVersion
from tests.support.drive import ME, Drive


@pytest.fixture
def drive(drive: Drive) -> Drive:
    drive.remote.box.create(Kind.FILE, ROOT_FOLDER, "f", b"old")
    drive.ls()
    return drive


def versions(drive: Drive, item_id: str = "1") -> list[bytes]:
    return [data for _, data in drive.remote.box.items[Kind.FILE, ItemId(item_id)].versions]


def test_rename_over_makes_a_version(drive: Drive) -> None:
    drive.write(".f.XYZ", b"new")
    drive.rename(".f.XYZ", "f")
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new"}
    assert versions(drive) == [b"old", b"new"]
    assert drive.remote.written() == ["upload_version"]


def test_vims_dance_makes_a_version(drive: Drive) -> None:
    drive.rename("f", "f~")
    drive.write("f", b"new")
    drive.unlink("f~")
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new"}
    assert versions(drive) == [b"old", b"new"]
    assert drive.remote.written() == ["upload_version"]


def test_a_backup_that_stays_is_the_new_file(drive: Drive) -> None:
    drive.rename("f", "f~")
    drive.write("f", b"new")
    assert drive.read("f~") == b"old"
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new", "f~": b"old"}
    assert versions(drive) == [b"old", b"new"]


def test_a_backup_that_comes_back_is_the_file_that_it_was(drive: Drive) -> None:
    drive.rename("f", "f~")
    drive.write("f", b"new")
    drive.rename("f~", "f")
    assert drive.read("f") == b"old"
    assert drive.tree.pending_count() == 0


def test_an_item_that_was_lent_is_given_back(drive: Drive) -> None:
    drive.rename("f", "g")
    drive.write("f", b"new")
    drive.unlink("f")
    drive.push()
    assert drive.remote.box.tree() == {"g": b"old"}
    assert drive.remote.written() == ["update"]


def test_remove_and_create_makes_a_version(drive: Drive) -> None:
    drive.unlink("f")
    drive.write("f", b"new")
    drive.push()
    assert versions(drive) == [b"old", b"new"]
    drive.unlink("f")
    drive.write("tmp", b"newer")
    drive.rename("tmp", "f")
    drive.push()
    assert versions(drive) == [b"old", b"new", b"newer"]
    assert drive.remote.box.tree() == {"f": b"newer"}


def test_a_temporary_file_that_was_uploaded_already_becomes_a_version_and_is_trashed(drive: Drive) -> None:
    drive.write("tmp", b"new")
    drive.push()
    drive.rename("tmp", "f")
    assert drive.read("f") == b"new"
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new"}
    assert versions(drive) == [b"old", b"new"]
    assert drive.remote.counts()["download"] == 0


def test_a_temporary_file_whose_upload_is_under_way_becomes_a_version(drive: Drive) -> None:
    drive.write("tmp", b"new")
    tmp = drive.ino("tmp")
    sending = drive.fs.files.sending(tmp)
    drive.rename("tmp", "f")
    box = drive.remote.box
    stray = box.item(box.create(Kind.FILE, ROOT_FOLDER, "tmp", b"new"))
    with drive.tree.change() as change:
        change.acknowledge(tmp, stray, sending.edit)
    sending.close()
    drive.push()
    assert box.tree() == {"f": b"new"}
    assert versions(drive) == [b"old", b"new"]


def test_a_file_that_goes_while_its_upload_is_under_way_is_trashed(drive: Drive) -> None:
    drive.write("tmp", b"new")
    tmp = drive.ino("tmp")
    sending = drive.fs.files.sending(tmp)
    drive.unlink("tmp")
    box = drive.remote.box
    stray = box.item(box.create(Kind.FILE, ROOT_FOLDER, "tmp", b"new"))
    with drive.tree.change() as change:
        change.acknowledge(tmp, stray, sending.edit)
    sending.close()
    drive.push()
    assert box.tree() == {"f": b"old"}


def test_an_established_file_moved_over_another_keeps_its_own_item(drive: Drive) -> None:
    drive.remote.box.create(Kind.FILE, ROOT_FOLDER, "g", b"other")
    drive.tree.forget_clean()
    drive.rename("g", "f")
    drive.push()
    assert drive.remote.box.tree() == {"f": b"other"}
    assert drive.remote.box.items[Kind.FILE, ItemId("1")].trashed
    assert drive.remote.box.at("f").id == "2"


def test_created_and_removed_is_nothing(drive: Drive) -> None:
    drive.write("x", b"1")
    drive.mkdir("d")
    drive.write("d/y", b"2")
    drive.rename("x", "d/x")
    drive.unlink("d/x")
    drive.unlink("d/y")
    drive.rmdir("d")
    assert drive.tree.pending_count() == 0
    assert drive.spooled() == []


def test_a_chain_of_renames_is_one(drive: Drive) -> None:
    drive.rename("f", "g")
    drive.rename("g", "h")
    drive.push()
    assert drive.remote.written() == ["update"]
    drive.rename("h", "f")
    drive.rename("f", "h")
    assert drive.tree.pending_count() == 0


def test_who_writes_to_a_replaced_file_harms_nobody(drive: Drive) -> None:
    writer = drive.open("f", os.O_RDWR)
    drive.write("tmp", b"new")
    drive.rename("tmp", "f")
    drive.put(writer, b"X", 0)
    drive.close_handle(writer)
    assert drive.read("f") == b"new"
    drive.push()
    assert drive.remote.box.tree() == {"f": b"new"}


def test_writing_goes_on_over_a_rename(drive: Drive) -> None:
    writer = drive.open("tmp", os.O_RDWR | os.O_CREAT)
    drive.put(writer, b"ne", 0)
    drive.rename("tmp", "f")
    drive.put(writer, b"w", 2)
    drive.close_handle(writer)
    drive.push()
    assert versions(drive) == [b"old", b"new"]
    assert drive.remote.written() == ["upload_version"]


def test_a_link_over_a_file_is_no_version_of_it(drive: Drive) -> None:
    drive.fs.symlink(ROOT_INO, "l", "target", ME)
    drive.rename("l", "f")
    drive.push()
    assert drive.remote.box.items[Kind.FILE, ItemId("1")].trashed
    assert drive.remote.box.tree() == {"f": b""}


def backed_up(drive: Drive) -> None:
    """As vim leaves it with a backup that stays: f~ was f, and f, which has the item now, is not sent yet."""
    drive.write("f", b"old")
    drive.push()
    drive.hear()
    drive.rename("f", "f~")
    drive.write("f", b"new")


@pytest.mark.parametrize("how", ["removed", "put back"])
@pytest.mark.parametrize("reply", ["late", "lost"])
def test_a_backup_does_not_get_the_item_back_while_other_bytes_are_on_their_way_to_it(
    drive: Drive, how: str, reply: str
) -> None:
    backed_up(drive)

    def change() -> None:
        if how == "removed":
            drive.unlink("f")
        else:
            drive.rename("f~", "f")

    if reply == "late":
        drive.remote.during["upload_version"] = change
    else:
        drive.remote.fail("upload_version", InDoubt("lost"), after=True)
        drive.remote.fail("item", Unreachable("and nobody to ask"))
    drive.clock.pass_(3)
    (call,) = [call for call in drive.sync.pushing.plan().calls if isinstance(call, UploadVersion)]
    assert drive.sync.sending.claim(call)
    drive.sync.sending.run(call)
    if reply == "lost":
        change()
    drive.hear()
    drive.push()
    drive.hear()
    name = "f~" if how == "removed" else "f"
    assert drive.ls() == [name]
    assert drive.read(name) == b"old"
    assert drive.remote.box.tree() == {name: b"old"}
