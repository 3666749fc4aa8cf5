"""Pins follow what programs do through the mount: saves, moves in and out, deletions; and files with the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.base.errors import InvalidArgument
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Kind
from boxfs.core.pinning import Pinning
from boxfs.core.reading import Reading
from boxfs.core.surroundings import version_of
from boxfs.core.version import FileVersion
from boxfs.store.blocks import Blocks
from tests.support.downloads import content
from tests.support.drive import Drive
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Heard
from tests.support.waiting import until


class Home:
    """A drive with a cache and pins, put together as a mount is.  f is pinned; a and d/b are in it and beside it."""

    def __init__(self, folder: Path) -> None:
        self.remote = MemoryRemote()
        box = self.remote.box
        for name in ("f", "d"):
            above = box.create(Kind.FOLDER, ROOT_FOLDER, name).id
            below = box.create(Kind.FOLDER, above, "sub").id
            box.create(Kind.FILE, above, "a", content(300_000, len(name)))
            box.create(Kind.FILE, below, f"b-{name}", content(20_000, ord(name)))
        self.blocks = Blocks(folder / "blocks", 64 << 20)
        self.reading = Reading(self.remote, self.blocks)
        self.drive = Drive(folder / "state", self.remote, self.reading)
        self.pinning = Pinning(self.drive.tree, self.reading, self.drive.incoming.list_folder)
        self.drive.fs.listeners.append(self.pinning)
        self.drive.fs.set_watcher(Heard())
        self.drive.tree.on_moved = self.pinning.moved
        self.drive.fs.files.on_adopted = self.pinning.uploaded
        for path in ("", "f", "f/sub", "d", "d/sub"):
            self.drive.ls(path)
        self.pinning.pin(self.drive.ino("f"))
        self.pinning.wait(ROOT_INO, step_s=0.01)

    def version(self, path: str) -> FileVersion:
        version = version_of(self.drive.node(path))
        assert version is not None
        return version

    def is_kept(self, path: str) -> bool:
        version = self.version(path)
        return version.key in self.blocks.pins() and self.reading.cached_bytes(version) == version.size

    def sent(self) -> None:
        """All that was written is at Box, and the house has looked at it."""
        self.drive.push()
        self.drive.hear()
        self.drive.fs.keep_house()

    def downloads(self) -> int:
        return self.remote.counts()["download"]

    def close(self) -> None:
        self.pinning.close()
        self.reading.close()
        self.drive.close()
        self.blocks.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    assert made.is_kept("f/a")
    assert made.is_kept("f/sub/b-f")
    yield made
    made.close()


def test_what_is_saved_below_a_pinned_folder_is_kept_and_not_fetched(home: Home) -> None:
    before = home.downloads()
    home.drive.write("f/new", content(400_000, 7))
    home.sent()
    until(lambda: home.is_kept("f/new"))
    assert home.downloads() == before


def test_a_pinned_file_that_is_saved_is_kept_as_it_is_now(home: Home) -> None:
    old = home.version("f/a").key
    home.drive.write("f/a", content(400_000, 7))
    home.sent()
    until(lambda: home.is_kept("f/a"))
    assert old not in home.blocks.pins()


def test_what_is_saved_to_a_part_of_a_pinned_file_is_kept_too(home: Home) -> None:
    handle = home.drive.open("f/a", 2)
    home.drive.put(handle, b"changed", 1000)
    home.drive.close_handle(handle)
    home.sent()
    until(lambda: home.is_kept("f/a"))


def test_what_is_moved_in_comes_and_what_is_moved_out_may_go(home: Home) -> None:
    home.drive.rename("d/a", "f/from-d")
    until(lambda: home.is_kept("f/from-d"))
    home.drive.rename("d/sub", "f/sub-from-d")
    until(lambda: home.is_kept("f/sub-from-d/b-d"))
    home.drive.rename("f/sub", "d/sub")
    until(lambda: home.version("d/sub/b-f").key not in home.blocks.pins())
    home.sent()
    assert home.is_kept("f/a")
    assert home.is_kept("f/from-d")


def test_what_is_removed_is_kept_no_more(home: Home) -> None:
    keys = {home.version(path).key for path in ("f/a", "f/sub/b-f")}
    assert set(home.blocks.pins()) == keys
    home.drive.unlink("f/a")
    until(lambda: len(home.blocks.pins()) == 1)
    home.drive.unlink("f/sub/b-f")
    until(lambda: not home.blocks.pins())


def test_what_a_pinned_file_shares_with_others_stays_as_long_as_one_is_pinned(home: Home) -> None:
    with home.remote.someone() as box:
        box.create(Kind.FILE, box.at("f").id, "copy", content(300_000, 1))
        box.create(Kind.FILE, box.at("d").id, "copy", content(300_000, 1))
    home.drive.hear()
    until(lambda: home.is_kept("f/copy"))
    key = home.version("f/a").key
    assert home.version("d/copy").key == home.version("f/copy").key == key
    with pytest.raises(InvalidArgument):
        home.pinning.evict(home.drive.ino("d/copy"))
    home.pinning.evict(home.drive.ino("d"))
    assert home.is_kept("f/a")
    with home.remote.someone() as box:
        box.overwrite(box.at("f/a"), content(1000, 9))
    home.drive.hear()
    until(lambda: home.is_kept("f/a"))
    assert home.is_kept("f/copy")
    home.drive.unlink("f/a")
    until(lambda: len(home.blocks.pins()) == 2)
    assert home.is_kept("f/copy")
