"""Open folders: offsets stay, and nothing goes out with attributes that the core no longer stands for."""

from __future__ import annotations

import os

import pytest

from boxfs.base.errors import BadHandle
from boxfs.base.types import ROOT_INO, HandleNo
from boxfs.core.interface import Caller
from boxfs.fuse.folders import Changes, Folders
from tests.support.memoryfiles import MemoryFiles

ME = Caller(os.getuid(), os.getgid(), 0)


@pytest.fixture
def files() -> MemoryFiles:
    files = MemoryFiles()
    for name in "abc":
        files.release(files.create(ROOT_INO, name, 0o644, os.O_WRONLY, ME)[1])
    return files


def read(folders: Folders, handle: HandleNo, offset: int = 0) -> list[tuple[str, int, bool]]:
    return [(name, following, fresh) for name, _, following, fresh in folders.read(handle, offset)]


def test_dot_entries_come_first_and_are_never_kept_by_the_kernel(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    assert read(folders, folders.open(ROOT_INO).handle) == [
        (".", 1, False),
        ("..", 2, False),
        ("a", 3, True),
        ("b", 4, True),
        ("c", 5, True),
    ]


def test_every_offset_goes_on_with_the_entry_that_followed_it(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    handle = folders.open(ROOT_INO).handle
    whole = read(folders, handle)
    for index, (_, following, _) in enumerate(whole):
        assert read(folders, handle, following) == whole[index + 1 :]


def test_removed_name_is_left_out_and_the_offsets_stay(files: MemoryFiles) -> None:
    changes = Changes()
    folders = Folders(files, changes)
    handle = folders.open(ROOT_INO).handle
    read(folders, handle)
    files.unlink(ROOT_INO, "b")
    changes.note()
    assert read(folders, handle, 2) == [("a", 3, True), ("c", 5, True)]


def test_name_removed_by_the_core_itself_is_left_out(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    handle = folders.open(ROOT_INO).handle
    read(folders, handle)
    files.unlink(ROOT_INO, "b")  # no Changes.note(): the core's generation() tells
    assert [name for name, _, _ in read(folders, handle, 2)] == ["a", "c"]


def test_attributes_are_as_of_now_after_a_change(files: MemoryFiles) -> None:
    changes = Changes()
    folders = Folders(files, changes)
    handle = folders.open(ROOT_INO).handle
    read(folders, handle)
    files.setattr(files.lookup(ROOT_INO, "c").ino, size=77)
    changes.note()
    assert [attr.size for _, attr, _, _ in folders.read(handle, 2)] == [0, 0, 77]


def test_new_name_shows_after_a_rewind_only(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    handle = folders.open(ROOT_INO).handle
    before = read(folders, handle)
    files.mkdir(ROOT_INO, "d", 0o755, ME)
    assert [name for name, _, _ in read(folders, handle, 2)] == [name for name, _, _ in before[2:]]
    assert [name for name, _, _ in read(folders, handle)][-1] == "d"


def test_closed_folder_is_a_bad_handle(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    handle = folders.open(ROOT_INO).handle
    folders.close(handle)
    with pytest.raises(BadHandle):
        folders.read(handle, 0)


def test_listings_are_in_order_of_names_whatever_order_the_core_has_them_in(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    files.rename(ROOT_INO, "a", ROOT_INO, "z")
    files.rename(ROOT_INO, "z", ROOT_INO, "a")
    assert [entry.name for entry in files.readdir(ROOT_INO)] != ["a", "b", "c"]
    assert [name for name, _, _ in read(folders, folders.open(ROOT_INO).handle, 2)] == ["a", "b", "c"]


def test_kernel_may_go_on_with_the_listing_that_it_holds_until_something_is_told(files: MemoryFiles) -> None:
    folders = Folders(files, Changes())
    assert folders.open(ROOT_INO)[1:] == (True, False)
    assert folders.open(ROOT_INO)[1:] == (True, True)
    folders.names_changed(ROOT_INO)
    assert folders.open(ROOT_INO)[1:] == (True, False)
    assert folders.open(ROOT_INO)[1:] == (True, True)
    assert folders.all_names_changed() == [ROOT_INO]
    assert folders.open(ROOT_INO)[1:] == (True, False)
    folders.forget(ROOT_INO)
    assert folders.open(ROOT_INO)[1:] == (True, False)


def test_stale_listing_is_neither_kept_nor_begun_to_be(files: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(files, Changes())
    folders.open(ROOT_INO)
    monkeypatch.setattr(files, "is_stale", lambda _ino: True)
    assert folders.open(ROOT_INO)[1:] == (False, False)
