from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from boxfs.base.errors import (
    BadHandle,
    Denied,
    FsError,
    InvalidArgument,
    IsADirectory,
    NameTaken,
    NoAttribute,
    NotADirectory,
    NotEmpty,
    NotFound,
    NotPermitted,
    ReadOnly,
    Unreachable,
)
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, ItemId, Kind
from boxfs.core.interface import Caller
from boxfs.core.node import Wanted
from tests.support.drive import ME, Drive
from tests.support.memoryremote import MemoryRemote


def on_box(remote: MemoryRemote, name: str, data: bytes, parent: ItemId = ROOT_FOLDER) -> ItemId:
    return remote.box.create(Kind.FILE, parent, name, data).id


# Names and folders


def test_a_folder_is_listed_once_and_then_known(drive: Drive) -> None:
    folder = drive.remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    on_box(drive.remote, "a.txt", b"abc", folder.id)
    assert drive.ls() == ["d"]
    assert drive.ls("d") == ["a.txt"]
    assert drive.stat("d/a.txt").size == 3
    with pytest.raises(NotFound):
        drive.stat("d/b.txt")
    assert drive.remote.counts()["list_folder"] == 2
    drive.remote.offline = True
    assert drive.ls("d") == ["a.txt"]


def test_an_unknown_folder_is_unreachable_and_not_empty_while_offline(drive: Drive) -> None:
    drive.remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    assert drive.ls() == ["d"]
    drive.remote.offline = True
    with pytest.raises(Unreachable):
        drive.ls("d")
    with pytest.raises(Unreachable):
        drive.write("d/new", b"")


def test_a_folder_that_somebody_else_has_just_listed_is_not_listed_again(drive: Drive) -> None:
    folder = drive.remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    on_box(drive.remote, "a.txt", b"abc", folder.id)
    ino = drive.ino("d")

    def somebody_lists() -> None:
        """Between our look at the folder and our call."""
        drive.fs.why_offline = lambda: None
        assert drive.ls("d") == ["a.txt"]

    drive.fs.why_offline = somebody_lists
    assert [entry.name for entry in drive.fs.readdir(ino)] == ["a.txt"]
    assert drive.remote.counts()["list_folder"] == 2  # the root, and this one


def test_names_that_differ_by_case_are_refused_and_touch_nothing(drive: Drive) -> None:
    drive.write("README", b"one")
    with pytest.raises(NameTaken):
        drive.write("readme", b"two")
    with pytest.raises(NameTaken):
        drive.mkdir("ReadMe")
    drive.write("other", b"x")
    with pytest.raises(NameTaken):
        drive.rename("other", "readme")
    drive.rename("README", "readme")
    assert drive.ls() == ["other", "readme"]
    assert drive.read("readme") == b"one"


def test_with_encoded_case_both_names_live_and_come_back(tmp_path: Path) -> None:
    drive = Drive(tmp_path / "a", case="encode")
    drive.write("README", b"one")
    drive.write("readme", b"two")
    drive.write("ReadMe", b"three")
    drive.rename("ReadMe", "readMe")
    drive.push()
    drive.close()
    again = Drive(tmp_path / "b", drive.remote, case="encode")
    assert {name: again.read(name) for name in again.ls()} == {"README": b"one", "readme": b"two", "readMe": b"three"}
    assert again.tree.pending_count() == 0
    again.close()


def test_names_that_box_refuses_are_written_encoded(drive: Drive) -> None:
    names = ["back\\slash", "tab\t", "end ", os.fsdecode(b"\xff\xfe"), "plain"]
    for name in names:
        drive.write(name, b"x")
    drive.push()
    assert sorted(drive.remote.box.tree()) == sorted(["back＼slash", "tab␉", "end␠", "‛FF‛FE", "plain"])
    assert drive.ls() == sorted(names)


def test_rmdir_wants_an_empty_folder_and_asks_what_it_holds(drive: Drive) -> None:
    folder = drive.remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    on_box(drive.remote, "a", b"", folder.id)
    with pytest.raises(NotEmpty):
        drive.rmdir("d")
    with pytest.raises(IsADirectory):
        drive.unlink("d")
    with pytest.raises(NotADirectory):
        drive.rmdir("d/a")
    drive.unlink("d/a")
    drive.rmdir("d")
    assert drive.ls() == []
    drive.push()
    assert drive.remote.box.tree() == {}


def test_renames_of_folders(drive: Drive) -> None:
    drive.mkdir("a")
    drive.mkdir("a/b")
    drive.write("a/b/f", b"x")
    drive.mkdir("empty")
    with pytest.raises(InvalidArgument):
        drive.rename("a", "a/b/c")
    with pytest.raises(NotEmpty):
        drive.rename("empty", "a")
    with pytest.raises(NotADirectory):
        drive.rename("empty", "a/b/f")
    with pytest.raises(IsADirectory):
        drive.rename("a/b/f", "empty")
    drive.rename("a", "empty")
    assert drive.read("empty/b/f") == b"x"
    drive.push()
    assert drive.remote.box.tree() == {"empty": None, "empty/b": None, "empty/b/f": b"x"}


def test_exchange_swaps_and_noreplace_refuses(drive: Drive) -> None:
    drive.write("a", b"A")
    drive.mkdir("d")
    with pytest.raises(NameTaken):
        drive.rename("a", "d", 1)
    drive.rename("a", "d", 2)
    assert drive.read("d") == b"A"
    assert drive.ls("a") == []
    with pytest.raises(NotFound):
        drive.rename("a", "missing", 2)
    with pytest.raises(InvalidArgument):
        drive.rename("a", "b", 4)


def test_a_removed_folder_that_is_still_open_is_empty(drive: Drive) -> None:
    drive.remote.box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    ino = drive.ino("d")
    drive.rmdir("d")
    assert list(drive.fs.readdir(ino)) == []
    with pytest.raises(NotFound):
        drive.fs.create(ino, "x", 0o644, os.O_WRONLY, ME)


# Open files


def test_writers_and_readers_of_one_file_see_each_other(drive: Drive) -> None:
    on_box(drive.remote, "f", b"0123456789")
    reader = drive.open("f")
    writer = drive.open("f", os.O_RDWR)
    assert drive.get(reader) == b"0123456789"
    drive.put(writer, b"ab", 4)
    assert drive.get(reader) == b"0123ab6789"
    assert drive.get(writer, 3, 4) == b"3ab6"
    drive.fs.setattr(drive.ino("f"), size=5)
    assert drive.get(reader) == b"0123a"
    drive.fs.setattr(drive.ino("f"), size=8)
    assert drive.get(reader) == b"0123a\0\0\0"
    assert drive.stat("f").size == 8
    drive.close_handle(writer)
    drive.close_handle(reader)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"0123a\0\0\0"}


def test_a_reader_keeps_its_version_when_box_moves_on(drive: Drive) -> None:
    on_box(drive.remote, "f", b"old")
    reader = drive.open("f")
    box = drive.remote.box
    box.overwrite(box.at("f"), b"newer")
    with drive.tree.change() as change:
        drive.incoming.learn(change, [box.item(box.at("f"))])
    assert drive.read("f") == b"newer"
    assert drive.get(reader) == b"old"
    drive.close_handle(reader)


def test_a_writer_of_an_old_version_says_what_it_was_based_on(drive: Drive) -> None:
    on_box(drive.remote, "f", b"old")
    writer = drive.open("f", os.O_RDWR)
    box = drive.remote.box
    box.overwrite(box.at("f"), b"newer")
    with drive.tree.change() as change:
        drive.incoming.learn(change, [box.item(box.at("f"))])
    drive.put(writer, b"O", 0)
    drive.close_handle(writer)
    content = drive.node("f").content
    assert content is not None
    assert content.base_etag == "0"
    assert drive.read("f") == b"Old"


def test_a_partial_write_keeps_only_what_was_changed(drive: Drive, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    on_box(drive.remote, "big", data)
    writer = drive.open("big", os.O_RDWR)
    drive.put(writer, b"xyz", 500_000)
    drive.close_handle(writer)
    node = drive.node("big")
    assert node.content is not None
    assert drive.tree.records.spool(node.content.spool) == "500000-500003"
    expected = data[:500_000] + b"xyz" + data[500_003:]
    assert drive.read("big") == expected
    drive.push()
    assert drive.remote.box.tree()["big"] == expected


def test_appends_go_to_the_end_whatever_the_offset(drive: Drive) -> None:
    one = drive.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    two = drive.open("log", os.O_WRONLY | os.O_APPEND)
    drive.put(one, b"a", 0)
    drive.put(two, b"b", 0)
    drive.put(one, b"c", 0)
    drive.close_handle(one)
    drive.close_handle(two)
    assert drive.read("log") == b"abc"


def test_an_unlinked_file_goes_on_for_who_has_it_open(drive: Drive) -> None:
    drive.write("f", b"first")
    handle = drive.open("f", os.O_RDWR)
    ino = drive.fs.handle_ino(handle)
    drive.unlink("f")
    assert drive.ls() == []
    drive.put(handle, b"X", 0)
    assert drive.get(handle) == b"Xirst"
    attr = drive.fs.getattr(ino)
    assert (attr.nlink, attr.size) == (0, 5)
    assert drive.fs.setattr(ino, mode=0o600).mode & 0o777 == 0o600
    drive.close_handle(handle)
    with pytest.raises(NotFound):
        drive.fs.getattr(ino)
    assert drive.spooled() == []
    assert drive.tree.pending_count() == 0


def test_a_replaced_file_goes_on_for_who_has_it_open(drive: Drive) -> None:
    on_box(drive.remote, "f", b"old")
    reader = drive.open("f")
    drive.write("tmp", b"new")
    drive.rename("tmp", "f")
    assert drive.get(reader) == b"old"
    assert drive.read("f") == b"new"
    drive.close_handle(reader)


def test_who_looked_a_name_up_just_before_it_was_replaced_can_still_open_it(drive: Drive) -> None:
    on_box(drive.remote, "f", b"old")
    ino = drive.ino("f")
    drive.write("tmp", b"new")
    drive.rename("tmp", "f")
    late = drive.fs.open(ino, os.O_RDONLY, ME)
    assert drive.get(late) == b"old"
    drive.close_handle(late)
    drive.fs.let_late_ones_go()
    with pytest.raises(NotFound):
        drive.fs.open(ino, os.O_RDONLY, ME)
    assert drive.read("f") == b"new"


def test_a_file_of_which_box_did_not_say_its_version_can_be_replaced(drive: Drive) -> None:
    on_box(drive.remote, "target", b"old")
    drive.ls()
    target = drive.node("target")
    assert target.remote is not None
    with drive.tree.change() as change:
        change.put(replace(target, remote=replace(target.remote, version_id=None)))
    drive.write("source", b"new")
    drive.rename("source", "target")
    assert drive.read("target") == b"new"
    drive.push()
    assert drive.remote.box.tree() == {"target": b"new"}


def test_holes_data_and_allocation(drive: Drive) -> None:
    handle = drive.open("sparse", os.O_RDWR | os.O_CREAT)
    drive.put(handle, b"x" * 10, 100)
    drive.put(handle, b"y" * 10, 1 << 30)
    assert drive.get(handle, 90, 30) == b"\0" * 10 + b"x" * 10 + b"\0" * 10
    seek = drive.fs.seek
    assert seek(handle, 0, os.SEEK_DATA) == 100
    assert seek(handle, 100, os.SEEK_HOLE) == 110
    assert seek(handle, 200, os.SEEK_DATA) == 1 << 30
    assert seek(handle, 1 << 30, os.SEEK_HOLE) == (1 << 30) + 10
    with pytest.raises(FsError) as caught:
        seek(handle, (1 << 30) + 10, os.SEEK_DATA)
    assert caught.value.errno == errno.ENXIO
    drive.fs.fallocate(handle, 3, 102, 4)
    assert drive.get(handle, 100, 10) == b"xx\0\0\0\0xxxx"
    drive.fs.fallocate(handle, 0, 0, (1 << 30) + 100)
    assert drive.fs.getattr(drive.fs.handle_ino(handle)).size == (1 << 30) + 100
    drive.close_handle(handle)
    on_box(drive.remote, "base", b"b" * 20)
    drive.tree.forget_clean()
    handle = drive.open("base", os.O_RDWR)
    drive.fs.fallocate(handle, 3, 5, 5)
    assert drive.get(handle) == b"b" * 5 + b"\0" * 5 + b"b" * 10
    drive.close_handle(handle)


def test_bad_handles(drive: Drive) -> None:
    drive.write("f", b"x")
    reader = drive.open("f")
    with pytest.raises(BadHandle):
        drive.put(reader, b"y", 0)
    drive.close_handle(reader)
    for call in (drive.fs.flush, drive.fs.release, drive.fs.handle_ino):
        with pytest.raises(BadHandle):
            call(reader)


def test_a_copy_of_a_whole_file_moves_no_bytes(drive: Drive) -> None:
    on_box(drive.remote, "a", b"content")
    source, target = drive.open("a"), drive.open("b", os.O_WRONLY | os.O_CREAT)
    assert drive.fs.copy_range(source, 0, target, 0, 1 << 60) == 7
    assert drive.fs.copy_range(source, 7, target, 7, 1 << 60) == 0
    drive.close_handle(source)
    drive.close_handle(target)
    assert drive.remote.counts()["download"] == 0
    sending = drive.fs.files.sending(drive.ino("b"))
    assert sending.is_copy
    assert sending.base is not None
    assert sending.base.file_id == drive.node("a").item_id
    sending.close()
    assert drive.read("b") == b"content"
    local = drive.open("c", os.O_RDWR | os.O_CREAT)
    drive.put(local, b"local", 0)
    copy = drive.open("d", os.O_RDWR | os.O_CREAT)
    assert drive.fs.copy_range(local, 1, copy, 2, 3) == 3
    assert drive.get(copy) == b"\0\0oca"
    drive.close_handle(local)
    drive.close_handle(copy)


# Sending


def test_what_is_being_sent_does_not_change_under_the_sender(drive: Drive) -> None:
    drive.write("f", b"first")
    sending = drive.fs.files.sending(drive.ino("f"))
    writer = drive.open("f", os.O_RDWR)
    drive.put(writer, b"SECOND", 0)
    assert sending.read_at(0, 100) == b"first"
    assert drive.get(writer) == b"SECOND"
    drive.close_handle(writer)
    assert sending.read_at(0, 100) == b"first"
    with drive.tree.change() as change:
        box = drive.remote.box
        item = box.item(box.create(Kind.FILE, ROOT_FOLDER, "f", b"first"))
        change.acknowledge(drive.ino("f"), item, sending.edit)
    sending.close()
    assert drive.wanted("f") & Wanted.CONTENT
    assert drive.read("f") == b"SECOND"
    drive.push()
    assert drive.remote.box.tree() == {"f": b"SECOND"}
    drive.fs.files.drop_retired(1 << 62)
    assert drive.spooled() == []


def test_what_was_just_uploaded_is_read_without_a_download(drive: Drive) -> None:
    drive.write("f", b"bytes")
    drive.push()
    assert drive.read("f") == b"bytes"
    drive.fs.keep_house()
    assert list(drive.reading.adopted.values()) == [b"bytes"]
    assert drive.remote.counts()["download"] == 0
    writer = drive.open("f", os.O_RDWR)
    drive.put(writer, b"B", 0)
    drive.close_handle(writer)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"Bytes"}
    assert drive.remote.counts()["download"] == 0
    drive.fs.files.drop_retired(1 << 62)
    assert drive.spooled() == []
    assert drive.read("f") == b"Bytes"
    assert drive.remote.counts()["download"] == 1


@pytest.mark.parametrize("edit", ["write", "truncate", "zero", "copy"])
def test_a_file_that_was_read_unedited_reads_as_edited(drive: Drive, edit: str) -> None:
    """The short way to an unedited file's bytes is left at the first edit, also by a handle that reads only."""
    for name, data in (("f", b"0123456789"), ("g", b"abc")):
        drive.write(name, data)
    drive.push()
    drive.fs.files.drop_retired(1 << 62)
    reading = drive.open("f")
    assert drive.get(reading) == b"0123456789"
    handle = drive.open("f", os.O_RDWR)
    assert drive.get(reading) == b"0123456789"
    if edit == "write":
        drive.put(handle, b"XY", 4)
    elif edit == "zero":
        drive.fs.fallocate(handle, 16, 4, 2)
    else:
        drive.fs.setattr(drive.ino("f"), size=6 if edit == "truncate" else 0, handle=handle, caller=ME)
    if edit == "copy":
        assert drive.fs.copy_range(drive.open("g"), 0, handle, 0, 3) == 3
    expected = {"write": b"0123XY6789", "truncate": b"012345", "zero": b"0123\0\0006789", "copy": b"abc"}
    assert drive.get(reading) == drive.get(handle) == expected[edit]


def test_bytes_written_while_the_upload_runs_are_sent_next(drive: Drive) -> None:
    writer = drive.open("f", os.O_RDWR | os.O_CREAT)
    drive.put(writer, b"one", 0)
    drive.push()
    drive.put(writer, b"two", 3)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"one"}  # not closed, and not yet saved by the housekeeper
    drive.fs.files.save_old(1 << 62)
    drive.push()
    assert drive.remote.box.tree() == {"f": b"onetwo"}
    drive.close_handle(writer)


def test_what_box_took_away_while_it_was_written_is_made_anew(drive: Drive) -> None:
    item_id = on_box(drive.remote, "f", b"old")
    writer = drive.open("f", os.O_RDWR)
    drive.put(writer, b"N", 0)
    with drive.tree.change() as change:
        drive.incoming.vanish(change, (Kind.FILE, item_id))
    drive.close_handle(writer)
    assert drive.read("f") == b"Nld"
    assert drive.wanted("f") == Wanted.CREATE


# Crashes


def test_what_was_closed_survives_the_process(drive: Drive, tmp_path: Path) -> None:
    on_box(drive.remote, "theirs", b"0123456789")
    drive.write("f", b"closed")
    drive.mkdir("d")
    drive.rename("f", "d/g")
    writer = drive.open("theirs", os.O_RDWR)
    drive.put(writer, b"XY", 3)
    drive.close_handle(writer)
    unclosed = drive.open("open", os.O_WRONLY | os.O_CREAT)
    drive.put(unclosed, b"never closed", 0)
    drive.crash()
    drive.remote.offline = True
    again = Drive(tmp_path, drive.remote)
    assert again.ls() == ["d", "open", "theirs"]
    assert again.read("d/g") == b"closed"
    assert again.stat("open").size == 0
    again.remote.offline = False
    assert again.read("theirs") == b"012XY56789"
    again.push()
    assert again.remote.box.tree() == {"d": None, "d/g": b"closed", "theirs": b"012XY56789", "open": b""}
    again.close()


def test_a_truncating_open_loses_nothing_before_the_new_bytes_are_there(drive: Drive, tmp_path: Path) -> None:
    drive.write("f", b"precious")
    writer = drive.open("f", os.O_WRONLY | os.O_TRUNC)
    drive.put(writer, b"half", 0)
    drive.crash()
    again = Drive(tmp_path, drive.remote)
    assert again.read("f") == b"precious"
    again.close()


def test_bytes_lost_in_a_power_cut_are_not_sent(drive: Drive, tmp_path: Path) -> None:
    on_box(drive.remote, "theirs", b"0123456789")
    drive.write("theirs", b"unsynced")
    drive.write("new", b"0123456789")
    spools = {name: drive.node(name).content for name in ("theirs", "new")}
    drive.crash()
    for name, kept in (("theirs", 0), ("new", 4)):
        content = spools[name]
        assert content is not None
        os.truncate(tmp_path / "spool" / str(content.spool), kept)
    again = Drive(tmp_path, drive.remote)
    assert again.read("theirs") == b"0123456789"
    assert again.read("new") == b"0123"
    again.push()
    assert again.remote.box.tree() == {"theirs": b"0123456789", "new": b"0123"}
    again.close()


def test_fsync_waits_for_box_where_asked_and_raises_its_error(tmp_path: Path) -> None:
    drive = Drive(tmp_path, fsync="box")
    handle = drive.open("f", os.O_WRONLY | os.O_CREAT)
    drive.put(handle, b"x", 0)
    asked: list[int] = []
    drive.fs.barrier = asked.append
    drive.fs.fsync(handle, False)
    assert asked == [drive.ino("f")]

    def refused(ino: int) -> None:
        raise Denied("no")

    drive.fs.barrier = refused
    with pytest.raises(Denied):
        drive.fs.fsync(handle, True)
    drive.close_handle(handle)
    drive.close()


# Rights and attributes


def test_what_box_does_not_allow_is_refused_at_once(drive: Drive) -> None:
    box = drive.remote.box
    plain = MemoryRemote.list_folder

    def without_rights(remote: MemoryRemote, folder_id: ItemId, *, background: bool = False) -> object:
        from dataclasses import replace

        items = plain(remote, folder_id, background=background)
        return [replace(i, can_upload=False, can_delete=False, can_rename=False, can_download=False) for i in items]

    box.create(Kind.FOLDER, ROOT_FOLDER, "d")
    on_box(drive.remote, "f", b"x")
    drive.remote.list_folder = without_rights.__get__(drive.remote)  # type: ignore[method-assign]
    for call in (
        lambda: drive.open("f", os.O_WRONLY),
        lambda: drive.open("f", os.O_RDONLY),
        lambda: drive.unlink("f"),
        lambda: drive.rename("f", "g"),
        lambda: drive.mkdir("d/x"),
        lambda: drive.fs.access(drive.ino("f"), os.W_OK),
    ):
        with pytest.raises(Denied):
            call()


def test_a_read_only_mount_changes_nothing(tmp_path: Path) -> None:
    drive = Drive(tmp_path, read_only=True)
    on_box(drive.remote, "f", b"x")
    for call in (
        lambda: drive.open("f", os.O_WRONLY),
        lambda: drive.write("g", b""),
        lambda: drive.mkdir("d"),
        lambda: drive.unlink("f"),
        lambda: drive.rename("f", "g"),
        lambda: drive.fs.setattr(drive.ino("f"), mode=0o600),
        lambda: drive.fs.setxattr(drive.ino("f"), "user.a", b"", 0),
    ):
        with pytest.raises(ReadOnly):
            call()
    assert drive.read("f") == b"x"
    drive.close()


def test_ordinary_files_cost_no_metadata_call_and_executables_survive_an_empty_cache(tmp_path: Path) -> None:
    drive = Drive(tmp_path / "a")
    fs = drive.fs
    modes = {"plain": 0o644, "group": 0o664, "private": 0o600, "git": 0o444, "tool": 0o755, "hook.sample": 0o755}
    for name, mode in modes.items():
        handle = fs.create(ROOT_INO, name, mode, os.O_WRONLY, ME)[1]
        drive.put(handle, b"x", 0)
        drive.close_handle(handle)
        fs.setattr(drive.ino(name), mode=mode, uid=1000, gid=1000)
        fs.setattr(drive.ino(name), mtime_ns=1_600_000_000_123_456_789, atime_ns=5)
    drive.mkdir("dir", 0o775)
    fs.setattr(drive.ino("dir"), mtime_ns=1_600_000_000_000_000_000)
    drive.fs.symlink(ROOT_INO, "link", "töol", ME)
    fs.setattr(drive.ino("link"), mtime_ns=1_600_000_000_000_000_000)
    drive.push()
    assert drive.remote.counts()["set_properties"] == 2  # tool, link
    assert drive.stat("private").mode & 0o777 == 0o600
    assert drive.stat("hook.sample").mode & 0o777 == 0o755
    assert drive.stat("plain").mtime_ns == 1_600_000_000_123_456_789
    drive.close()
    again = Drive(tmp_path / "b", drive.remote)
    assert stat.S_IMODE(again.stat("tool").mode) == 0o755
    assert stat.S_IMODE(again.stat("plain").mode) == 0o644
    assert again.stat("plain").mtime_ns == 1_600_000_000_000_000_000
    assert again.stat("tool").mtime_ns == 1_600_000_000_123_456_789
    assert stat.S_ISLNK(again.stat("link").mode)
    assert again.fs.readlink(again.ino("link")) == "töol"
    assert again.stat("link").size == 5
    assert again.tree.pending_count() == 0
    again.close()


def test_attributes_store_keeps_everything(tmp_path: Path) -> None:
    drive = Drive(tmp_path / "a", attributes="store")
    drive.fs.mknod(ROOT_INO, "fifo", stat.S_IFIFO | 0o640, 0, ME)
    drive.fs.mknod(ROOT_INO, "dev", stat.S_IFCHR | 0o600, os.makedev(1, 3), ME)
    drive.mkdir("d", 0o1777)
    drive.fs.setattr(drive.ino("d"), mtime_ns=1_600_000_000_000_000_007)
    drive.write("f", b"x")
    drive.fs.setattr(drive.ino("f"), mode=0o600, uid=7, gid=8)
    drive.fs.setxattr(drive.ino("f"), "user.note", b"\xff\x00", 0)
    drive.push()
    drive.close()
    again = Drive(tmp_path / "b", drive.remote, attributes="store")
    assert stat.S_ISFIFO(again.stat("fifo").mode)
    assert again.stat("dev").rdev == os.makedev(1, 3)
    d, f = again.stat("d"), again.stat("f")
    assert (stat.S_IMODE(d.mode), d.mtime_ns) == (0o1777, 1_600_000_000_000_000_007)
    assert (stat.S_IMODE(f.mode), f.uid, f.gid) == (0o600, 7, 8)
    assert again.fs.getxattr(again.ino("f"), "user.note") == b"\xff\x00"
    assert again.tree.pending_count() == 0
    again.close()


def test_attributes_off_says_so(tmp_path: Path) -> None:
    drive = Drive(tmp_path, attributes="off")
    drive.write("f", b"x")
    ino = drive.ino("f")
    with pytest.raises(NotPermitted):
        drive.fs.symlink(ROOT_INO, "l", "t", ME)
    with pytest.raises(NotPermitted):
        drive.fs.setattr(ino, mode=0o600)
    drive.fs.setattr(ino, mode=0o644)
    with pytest.raises(FsError) as caught:
        drive.fs.setxattr(ino, "user.a", b"b", 0)
    assert caught.value.errno == errno.EOPNOTSUPP
    drive.close()


def test_who_makes_a_file_owns_it(drive: Drive) -> None:
    attr = drive.fs.create(ROOT_INO, "f", 0o600, os.O_WRONLY, Caller(1001, 1002, 9))[0]
    assert (attr.uid, attr.gid, stat.S_IMODE(attr.mode)) == (1001, 1002, 0o600)


def test_extended_attributes_and_the_facts_of_box(drive: Drive) -> None:
    item_id = on_box(drive.remote, "f", b"x")
    ino = drive.ino("f")
    fs = drive.fs
    fs.setxattr(ino, "user.a", b"1", 1)
    with pytest.raises(NameTaken):
        fs.setxattr(ino, "user.a", b"2", 1)
    fs.setxattr(ino, "user.a", b"2", 2)
    assert fs.getxattr(ino, "user.a") == b"2"
    assert fs.getxattr(ino, "user.box.id") == item_id.encode()
    assert fs.getxattr(ino, "user.box.state") == b"dirty"
    assert {"user.a", "user.box.sha1", "user.box.state"} <= set(fs.listxattr(ino))
    with pytest.raises(NotPermitted):
        fs.setxattr(ino, "user.box.id", b"5", 0)
    fs.removexattr(ino, "user.a")
    for name, number in (("user.a", errno.ENODATA), ("security.x", errno.EOPNOTSUPP), ("user.box.no", errno.ENODATA)):
        with pytest.raises(FsError) as caught:
            fs.getxattr(ino, name)
        assert caught.value.errno == number
    assert fs.getxattr(ino, "user.box.state") == b"clean"


def test_description_and_tags_are_set_at_box_at_once(drive: Drive) -> None:
    on_box(drive.remote, "f", b"x")
    ino = drive.ino("f")
    drive.fs.setxattr(ino, "user.box.description", "für alle".encode(), 0)
    drive.fs.setxattr(ino, "user.box.tags", b"red, blue", 0)
    held = drive.remote.box.at("f")
    assert (held.description, held.tags) == ("für alle", ("red", "blue"))
    assert drive.fs.getxattr(ino, "user.box.tags") == b"red,blue"
    with pytest.raises(NameTaken):
        drive.fs.setxattr(ino, "user.box.tags", b"green", 1)
    drive.fs.removexattr(ino, "user.box.description")
    with pytest.raises(NoAttribute):
        drive.fs.removexattr(ino, "user.box.description")
    assert drive.remote.box.at("f").description == ""
    assert drive.fs.getxattr(ino, "user.box.state") == b"clean"


def test_a_web_link_reads_as_a_shortcut(drive: Drive) -> None:
    drive.remote.box.create(Kind.WEB_LINK, ROOT_FOLDER, "site").url = "https://example.com/"
    assert drive.ls() == ["site.url"]
    data = drive.read("site.url")
    assert b"URL=https://example.com/\r\n" in data
    assert drive.stat("site.url").size == len(data)
    with pytest.raises(Denied):
        drive.open("site.url", os.O_RDWR)
    drive.rename("site.url", "home.url")
    drive.push()
    assert [held.name for _, held in drive.remote.box.walk()] == ["home"]


def test_df_never_waits_and_learns_in_the_background(drive: Drive, tmp_path: Path) -> None:
    drive.remote.offline = True
    assert drive.fs.statfs().total_bytes > 0
    drive.fs._ask_space()
    drive.remote.offline = False
    drive.fs._ask_space()
    space = drive.fs.statfs()
    assert (space.total_bytes, space.free_bytes) == (10**10, 10**10 - 10**6)
