"""Pinning: what is pinned is here, stays here, and follows Box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.base.errors import InvalidArgument, NotFound, Unreachable
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Ino, Kind
from boxfs.core.pinning import Pinning
from boxfs.core.reading import Reading
from boxfs.core.surroundings import version_of
from boxfs.core.watchers import Watchers
from boxfs.store.blocks import Blocks
from tests.support.downloads import content
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine
from tests.support.waiting import until


class Pinned:
    """A machine with a cache and pins."""

    def __init__(self, machine: Machine, limit: int = 64 << 20) -> None:
        self.machine = machine
        self.blocks = Blocks(machine.folder.parent / "blocks", limit)
        self.reading = Reading(machine.remote, self.blocks)
        self.pinning = Pinning(machine.tree, self.reading, machine.sync.incoming.listed)
        machine.tree.watcher = Watchers(machine.heard, self.pinning)

    def ino(self, path: str) -> Ino:
        return self.machine.node(path).ino

    def held(self, path: str) -> int:
        version = version_of(self.machine.node(path))
        assert version is not None
        return self.reading.cached_bytes(version)

    def wait(self, path: str = "") -> None:
        self.pinning.wait(self.ino(path) if path else ROOT_INO, step_s=0.01)

    def close(self) -> None:
        self.pinning.close()
        self.reading.close()
        self.blocks.close()


@pytest.fixture
def stocked(remote: MemoryRemote) -> MemoryRemote:
    """f/a, f/g/b and c, not listed yet below f."""
    box = remote.box
    top = box.create(Kind.FOLDER, ROOT_FOLDER, "f").id
    below = box.create(Kind.FOLDER, top, "g").id
    box.create(Kind.FILE, top, "a", content(300_000, 1))
    box.create(Kind.FILE, below, "b", content(2_000_000, 2))
    box.create(Kind.FILE, ROOT_FOLDER, "c", content(1000, 3))
    return remote


@pytest.fixture
def pinned(stocked: MemoryRemote, tmp_path: Path) -> Iterator[Pinned]:
    machine = Machine(stocked, tmp_path / "state")
    machine.list()
    made = Pinned(machine)
    yield made
    made.close()
    machine.close()


def test_a_folder_is_brought_with_all_below_and_read_offline(pinned: Pinned) -> None:
    pinned.pinning.pin(pinned.ino("f"))
    pinned.wait("f")
    progress = pinned.pinning.progress(pinned.ino("f"))
    assert (progress.files, progress.files_here, progress.bytes_here) == (2, 2, 2_300_000)
    assert progress.errors == {}
    assert pinned.held("c") == 0
    pinned.machine.remote.offline = True
    node = pinned.machine.node("f/g/b")
    version = version_of(node)
    assert version is not None
    reader = pinned.reading.open(version.file_id, version.version_id, version.size, version.sha1)
    buffer = bytearray(version.size)
    assert reader.read_into(memoryview(buffer), 0) == version.size
    reader.close()
    assert buffer == content(2_000_000, 2)
    assert pinned.pinning.pinned() == ["f"]
    assert pinned.pinning.is_pinned(node.ino)


def test_what_others_change_and_add_comes_too(pinned: Pinned) -> None:
    pinned.pinning.pin(pinned.ino("f"))
    pinned.wait("f")
    old = version_of(pinned.machine.node("f/a"))
    assert old is not None
    with pinned.machine.remote.someone() as box:
        box.overwrite(box.at("f/a"), content(400_000, 4))
        box.create(Kind.FILE, box.at("f/g").id, "new", content(5000, 5))
    pinned.machine.hear()
    until(lambda: pinned.machine.has("f/g/new") and pinned.held("f/g/new") == 5000)
    until(lambda: pinned.held("f/a") == 400_000)
    until(lambda: old.key not in pinned.blocks.pins())
    assert len(pinned.blocks.pins()) == 3


def test_pins_live_through_a_restart_and_a_cleared_cache(pinned: Pinned) -> None:
    pinned.pinning.pin(pinned.ino("f"))
    pinned.wait("f")
    pinned.close()
    pinned.machine.restart()
    pinned.machine.sync.incoming.list_folder(ROOT_INO)
    with pinned.machine.remote.someone() as box:
        box.overwrite(box.at("f/a"), content(400_000, 4))
    pinned.machine.hear()
    again = Pinned(pinned.machine)
    again.machine.remote.calls.clear()
    try:
        again.blocks.clear()
        again.pinning.start()
        until(lambda: again.pinning.progress(ROOT_INO).files_here == 2)
        until(lambda: len(again.blocks.pins()) == 2)
        assert again.held("f/a") == 400_000
        assert "list_folder" not in again.machine.remote.counts()  # what the events brought is known
    finally:
        again.close()


def test_unpinned_files_may_go_and_pinned_ones_may_not(pinned: Pinned) -> None:
    pinned.pinning.pin(pinned.ino("f"))
    pinned.wait("f")
    with pytest.raises(InvalidArgument):
        pinned.pinning.evict(pinned.ino("f"))
    with pytest.raises(InvalidArgument):
        pinned.pinning.unpin(pinned.ino("f/a"))
    pinned.blocks.shrink(1 << 30)
    assert pinned.held("f/g/b") == 2_000_000
    pinned.pinning.unpin(pinned.ino("f"))
    assert pinned.blocks.pins() == []
    assert pinned.pinning.evict(pinned.ino("f"))[1] >= 2_300_000
    assert pinned.held("f/g/b") == 0
    with pytest.raises(NotFound):
        pinned.pinning.pin(Ino(99999999))


def test_what_cannot_come_now_is_said_and_tried_again(pinned: Pinned) -> None:
    pinned.machine.list_all()
    pinned.machine.remote.fail("download", Unreachable("no way"), times=1)
    pinned.pinning.pin(pinned.ino("f/a"))
    pinned.wait("f/a")
    assert list(pinned.pinning.progress(ROOT_INO).errors) == ["f/a"]
    pinned.pinning._try_again()
    pinned.wait("f/a")
    assert pinned.pinning.progress(ROOT_INO).errors == {}
    assert pinned.held("f/a") == 300_000


def test_a_cache_without_room_says_so(stocked: MemoryRemote, tmp_path: Path) -> None:
    machine = Machine(stocked, tmp_path / "state")
    machine.list_all()
    made = Pinned(machine, limit=1 << 20)
    try:
        for path in ("f/a", "f"):  # what fits comes first; side by side, the other could take its room
            made.pinning.pin(made.ino(path))
            made.wait(path)
        errors = made.pinning.progress(ROOT_INO).errors
        assert list(errors) == ["f/g/b"]
        assert "cache_size" in errors["f/g/b"]
    finally:
        made.close()
        machine.close()
