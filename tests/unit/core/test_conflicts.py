"""Both sides changed: what becomes of it, case by case.  Nothing is lost, and no copy is made without need."""

from __future__ import annotations

import pytest

from boxfs.base.errors import InDoubt
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Kind
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine

COPY = "f (conflicted copy here 2026-09-21)"


@pytest.fixture
def shared(here: Machine, remote: MemoryRemote) -> Machine:
    """A folder d with a file f in it, on both sides."""
    here.mkdir("d")
    here.write("d/f", b"base")
    here.settle()
    here.list_all()
    remote.calls.clear()
    return here


def theirs(remote: MemoryRemote, data: bytes = b"theirs", path: str = "d/f") -> None:
    with remote.someone() as box:
        box.overwrite(box.at(path), data)


@pytest.mark.parametrize("heard", ["before", "after"])
def test_both_edited(shared: Machine, remote: MemoryRemote, heard: str) -> None:
    ino = shared.write("d/f", b"ours")
    theirs(remote)
    if heard == "before":
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    want = {"d": None, "d/f": b"theirs", f"d/{COPY}": b"ours"}
    assert remote.box.tree() == want == shared.files()
    assert shared.node(f"d/{COPY}").ino == ino, "who has the file open goes on writing to the copy"
    assert shared.node(f"d/{COPY}").conflict_of == "f"
    parent = shared.node("d").ino
    assert ("gone", parent, "f") in shared.heard.notes
    assert ("appeared", parent, COPY) in shared.heard.notes


def test_both_edited_to_the_same_bytes(shared: Machine, remote: MemoryRemote) -> None:
    shared.write("d/f", b"same")
    theirs(remote, b"same")
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"same"} == shared.files()
    assert len(remote.box.at("d/f").versions) == 2


@pytest.mark.parametrize("heard", [False, True])
def test_etag_that_moved_without_new_bytes_is_no_conflict(shared: Machine, remote: MemoryRemote, heard: bool) -> None:
    shared.write("d/f", b"ours")
    with remote.someone() as box:
        box.at("d/f").etag += 3
        box.tell(box.at("d/f"), "ITEM_SHARED")
    if heard:
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"ours"} == shared.files()


def test_edited_here_and_moved_here_is_no_conflict(shared: Machine, remote: MemoryRemote) -> None:
    shared.write("d/f", b"ours")
    shared.rename("d/f", "g")
    shared.settle()
    assert remote.box.tree() == {"d": None, "g": b"ours"} == shared.files()
    assert remote.written() == ["update", "upload_version"]


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("how", ["rename", "move"])
def test_edited_here_and_moved_there(shared: Machine, remote: MemoryRemote, how: str, heard: bool) -> None:
    shared.write("d/f", b"ours")
    with remote.someone() as box:
        box.change(box.at("d/f"), name="g", parent_id=ROOT_FOLDER if how == "move" else None)
    if heard:
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    want = {"d": None, "g" if how == "move" else "d/g": b"ours"}
    assert remote.box.tree() == want == shared.files()


@pytest.mark.parametrize("heard", [False, True])
def test_edited_here_and_trashed_there(shared: Machine, remote: MemoryRemote, heard: bool) -> None:
    shared.write("d/f", b"ours")
    with remote.someone() as box:
        box.delete(box.at("d/f"))
    if heard:
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"ours"} == shared.files()


@pytest.mark.parametrize("heard", [False, True])
def test_edited_here_and_its_folder_trashed_there(shared: Machine, remote: MemoryRemote, heard: bool) -> None:
    shared.write("d/f", b"ours")
    with remote.someone() as box:
        box.create(Kind.FILE, box.at("d").id, "other", b"other")
        box.delete(box.at("d"), recursive=True)
    if heard:
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"ours"} == shared.files()


@pytest.mark.parametrize("heard", [False, True])
def test_deleted_here_and_edited_there(shared: Machine, remote: MemoryRemote, heard: bool) -> None:
    shared.delete("d/f")
    theirs(remote)
    if heard:
        shared.hear()
    shared.clock.pass_(5)
    shared.push()
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"theirs"} == shared.files()


def test_deleted_here_and_renamed_there_is_deleted(shared: Machine, remote: MemoryRemote) -> None:
    shared.delete("d/f")
    with remote.someone() as box:
        box.change(box.at("d/f"), name="g")
    shared.settle()
    assert remote.box.tree() == {"d": None} == shared.files()


def test_tree_deleted_here_and_something_new_in_it_there(shared: Machine, remote: MemoryRemote) -> None:
    shared.delete("d")
    with remote.someone() as box:
        box.create(Kind.FILE, box.at("d").id, "new", b"new")
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/new": b"new"} == shared.files()


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("same", [False, True])
def test_both_made_the_same_name(here: Machine, remote: MemoryRemote, heard: bool, same: bool) -> None:
    here.write("f", b"ours")
    with remote.someone() as box:
        box.create(Kind.FILE, ROOT_FOLDER, "f", b"ours" if same else b"theirs")
    if heard:
        here.hear()
    here.clock.pass_(5)
    here.push()
    here.settle()
    want = {"f": b"ours"} if same else {"f": b"theirs", COPY: b"ours"}
    assert remote.box.tree() == want == here.files()
    assert len(remote.box.at("f").versions) == 1


@pytest.mark.parametrize("heard", [False, True])
def test_both_made_the_same_folder(here: Machine, remote: MemoryRemote, heard: bool) -> None:
    here.mkdir("d")
    here.write("d/a", b"ours")
    with remote.someone() as box:
        folder = box.create(Kind.FOLDER, ROOT_FOLDER, "d")
        box.create(Kind.FILE, folder.id, "b", b"theirs")
    if heard:
        here.hear()
    here.clock.pass_(5)
    here.push()
    here.settle()
    here.list_all()
    assert remote.box.tree() == {"d": None, "d/a": b"ours", "d/b": b"theirs"} == here.files()


def test_file_here_and_folder_there_of_the_same_name(here: Machine, remote: MemoryRemote) -> None:
    here.write("f", b"ours")
    with remote.someone() as box:
        box.create(Kind.FOLDER, ROOT_FOLDER, "F")
    here.clock.pass_(5)
    here.push()
    here.settle()
    here.list_all()
    assert remote.box.tree() == {"F": None, COPY: b"ours"} == here.files()


def test_both_renamed(shared: Machine, remote: MemoryRemote) -> None:
    shared.rename("d/f", "d/ours")
    with remote.someone() as box:
        box.change(box.at("d/f"), name="theirs")
    shared.hear()
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/ours": b"base"} == shared.files()


def test_renamed_here_and_moved_there_does_both(shared: Machine, remote: MemoryRemote) -> None:
    shared.rename("d/f", "d/g")
    with remote.someone() as box:
        box.change(box.at("d/f"), parent_id=ROOT_FOLDER)
    shared.hear()
    shared.settle()
    assert remote.box.tree() == {"d": None, "g": b"base"} == shared.files()


def test_folders_moved_into_each_other(here: Machine, remote: MemoryRemote) -> None:
    here.mkdir("a")
    here.mkdir("b")
    here.settle()
    here.rename("a", "b/a")
    with remote.someone() as box:
        box.change(box.at("b"), parent_id=box.at("a").id)
    here.settle()
    here.list_all()
    assert set(remote.box.tree()) == set(here.files())
    assert len(here.files()) == 2


def test_our_own_upload_heard_before_its_reply_is_no_conflict(shared: Machine, remote: MemoryRemote) -> None:
    shared.write("d/f", b"ours")
    shared.clock.pass_(5)
    remote.fail("upload_version", InDoubt("lost"), after=True)
    remote.fail("item", InDoubt("lost too"))
    shared.push()
    shared.hear()
    shared.write("d/f", b"ours, later")
    shared.settle()
    assert remote.box.tree() == {"d": None, "d/f": b"ours, later"} == shared.files()
    assert len(remote.box.at("d/f").versions) == 3


def test_several_conflicts_of_one_day_are_numbered(shared: Machine, remote: MemoryRemote) -> None:
    for n in range(3):
        shared.write("d/f", b"ours %d" % n)
        theirs(remote, b"theirs %d" % n)
        shared.settle()
    names = {COPY, COPY[:-1] + " 2)", COPY[:-1] + " 3)"}
    assert names < {name.removeprefix("d/") for name in shared.files()}
    assert shared.node("").ino == ROOT_INO
