"""Which inode of the kernel stands for which bytes, decided without a kernel."""

from __future__ import annotations

import os

import pytest

from boxfs.base.errors import Changed
from boxfs.base.types import ROOT_INO, Attr, HandleNo, Ino
from boxfs.core.interface import Caller
from boxfs.fuse.operations import Operations
from boxfs.fuse.views import Views
from tests.support.memoryfiles import MemoryFiles

ME = Caller(os.getuid(), os.getgid(), 4711)


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


@pytest.fixture
def ino(files: MemoryFiles) -> Ino:
    attr, handle = files.create(ROOT_INO, "f", 0o644, os.O_WRONLY, ME)
    files.write(handle, memoryview(b"one"), 0)
    files.release(handle)
    return attr.ino


def read(files: MemoryFiles, handle: HandleNo) -> bytes:
    buffer = memoryview(bytearray(99))
    return bytes(buffer[: files.read_into(handle, buffer, 0)])


def test_node_is_the_inode_as_long_as_nobody_reads_former_bytes(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    assert views.node(ino) == ino
    files.new_version(ino, b"longer")
    assert views.node(ino) == ino
    assert views.content_changed(ino) == ino
    assert views.former(ino) is None


def test_new_version_under_a_reader_moves_the_name_to_another_node(files: MemoryFiles, ino: Ino) -> None:
    moved: list[Ino] = []
    views = Views(files)
    views.on_moved = moved.append
    handle = files.open(ino, os.O_RDONLY, ME)
    assert views.opened(ino, handle)
    files.new_version(ino, b"longer")
    alias = views.node(ino)
    assert alias != ino
    assert views.ino(alias) == ino
    assert moved == [ino]
    assert views.node(ino) == alias
    assert moved == [ino]
    former = views.former(ino)
    assert former is not None
    assert former.size == 3
    assert views.former(alias) is None


def test_change_drops_the_pages_of_the_node_that_names_lead_to(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    views.opened(ino, files.open(ino, os.O_RDONLY, ME))
    files.new_version(ino, b"longer")
    assert views.content_changed(ino) is None  # the new node has no pages yet, the former keeps its own
    alias = views.node(ino)
    files.new_version(ino, b"third")
    assert views.content_changed(ino) == alias


def test_former_node_that_nobody_has_open_is_stale(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    handle = files.open(ino, os.O_RDONLY, ME)
    views.opened(ino, handle)
    files.new_version(ino, b"longer")
    views.node(ino)
    views.released(ino, handle)
    with pytest.raises(Changed):
        views.former(ino)


def test_handle_that_is_old_already_is_not_taken(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    handle = files.open(ino, os.O_RDONLY, ME)
    files.new_version(ino, b"longer")
    assert not views.opened(ino, handle)
    assert views.node(ino) == ino


def test_open_by_the_former_node_is_sent_back_once(files: MemoryFiles, ino: Ino) -> None:
    operations = Operations(files)
    old, direct = operations.open(ino, os.O_RDONLY, ME)
    assert not direct
    files.new_version(ino, b"longer")
    with pytest.raises(Changed):
        operations.open(ino, os.O_RDONLY, ME)
    new, direct = operations.open(ino, os.O_RDONLY, ME)  # by /proc/self/fd there is nowhere else to go
    assert direct
    assert (read(files, old), read(files, new)) == (b"one", b"longer")
    alias = operations.views.node(ino)
    _, direct = operations.open(alias, os.O_RDONLY, ME)
    assert not direct
    for handle in (old, new):
        operations.release(ino, handle)
    assert operations.views.node(ino) == alias


def test_truncate_by_a_former_name_is_sent_back(files: MemoryFiles, ino: Ino) -> None:
    operations = Operations(files)
    operations.open(ino, os.O_RDONLY, ME)
    files.new_version(ino, b"longer")
    with pytest.raises(Changed):
        operations.setattr(ino, ME, size=0)
    assert files.getattr(ino).size == 6
    assert operations.setattr(operations.views.node(ino), ME, size=0).size == 0


def test_mode_of_a_former_node_is_that_of_the_file(files: MemoryFiles, ino: Ino) -> None:
    operations = Operations(files)
    operations.open(ino, os.O_RDONLY, ME)
    files.new_version(ino, b"longer")
    found = operations.setattr(ino, ME, mode=0o600)
    assert (found.mode & 0o777, found.size) == (0o600, 3)
    assert operations.getattr(operations.views.node(ino)).mode & 0o777 == 0o600


def test_what_the_kernel_forgets_of_a_file_that_changes_all_the_time_is_not_kept(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    node = int(ino)
    for n in range(20):
        handle = files.open(ino, os.O_RDONLY, ME)
        assert views.opened(node, handle)
        files.new_version(ino, b"%d" % n)
        former, node = node, views.node(ino)
        views.told(node, ino)
        views.forget(node, 1)  # names lead to it: whoever looks it up again gets the same
        views.released(former, handle)
        views.forget(former, 1)
    assert views.node(ino) == node
    assert views.ino(node) == ino
    assert len(views._inos) == 1


def test_alias_that_the_kernel_was_told_of_again_while_it_forgot_it_stays(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    first = files.open(ino, os.O_RDONLY, ME)
    assert views.opened(ino, first)
    files.new_version(ino, b"two")
    alias = views.node(ino)
    for _ in range(3):
        views.told(alias, ino)
    handle = files.open(ino, os.O_RDONLY, ME)
    assert views.opened(alias, handle)
    files.new_version(ino, b"three")
    assert views.node(ino) != alias
    views.released(alias, handle)
    assert views.forget(alias, 2) == ino  # the third answer is still on its way
    assert views.ino(alias) == ino
    with pytest.raises(Changed):
        views.opened(alias, files.open(ino, os.O_RDONLY, ME))
    assert views.forget(alias, 1) == ino
    with pytest.raises(Changed):
        views.ino(alias)
    assert views.forget(alias, 1) is None
    views.told(alias, ino)  # it was looked for before it was forgotten
    assert views.ino(alias) == ino


def test_who_opens_before_the_kernel_has_dropped_the_former_pages_gets_another_node(
    files: MemoryFiles, ino: Ino
) -> None:
    """Nobody has it open; the kernel may hold pages and size of the former bytes until it is told."""
    views = Views(files)
    views.expect(ino)
    files.new_version(ino, b"longer")
    handle = files.open(ino, os.O_RDONLY, ME)
    assert views.is_changing(ino)
    with pytest.raises(Changed):
        views.opened(ino, handle)
    alias = views.node(ino)
    assert alias != ino
    assert not views.is_changing(ino)
    assert views.opened(alias, handle)
    assert views.node(ino) == alias
    assert views.content_changed(ino) == alias


def test_a_node_that_the_kernel_has_dropped_is_opened_as_it_is(files: MemoryFiles, ino: Ino) -> None:
    views = Views(files)
    views.expect(ino)
    files.new_version(ino, b"longer")
    first = views.change_of(ino)
    assert views.content_changed(ino) == ino
    views.expect(ino)  # once more, before the kernel has answered
    views.dropped(ino, first)
    assert views.is_changing(ino)
    views.dropped(ino, views.change_of(ino))
    assert views.node(ino) == ino
    assert views.opened(ino, files.open(ino, os.O_RDONLY, ME))
    views.expect(ino)  # who has it open now is seen to otherwise
    assert views.node(ino) == ino


def test_attributes_and_node_of_a_name_are_of_one_moment(
    files: MemoryFiles, ino: Ino, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = Operations(files)
    lookup = files.lookup

    def overtaken(parent: Ino, name: str) -> Attr:
        attr = lookup(parent, name)
        monkeypatch.setattr(files, "lookup", lookup)
        operations.views.expect(ino)
        files.new_version(ino, b"longer")
        return attr

    monkeypatch.setattr(files, "lookup", overtaken)
    attr, node = operations.led_to(ROOT_INO, b"f")
    assert (attr.size, node) == (6, operations.views.node(ino))


def test_a_handle_that_passes_the_pages_by_knows_its_size_when_nobody_else_has_the_node_open(
    files: MemoryFiles, ino: Ino
) -> None:
    views = Views(files)
    former = files.open(ino, os.O_RDONLY, ME)
    assert views.opened(ino, former)
    files.new_version(ino, b"longer")
    views.node(ino)
    direct = files.open(ino, os.O_RDONLY, ME)
    views.opened_direct(ino, direct)
    found = views.former(ino)
    assert found is not None
    assert found.size == 3
    views.released(ino, former)
    files.release(former)
    found = views.former(ino)
    assert found is not None
    assert found.size == 6
    views.released(ino, direct)
    with pytest.raises(Changed):
        views.former(ino)
