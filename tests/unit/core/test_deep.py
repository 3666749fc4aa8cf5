"""Folders nested deeper than Python's calls may be: nothing in the core goes down a tree by calling itself."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Kind
from boxfs.core.node import Node
from tests.support.memorybox import Held
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Machine

DEPTH = 2000


@pytest.fixture
def top(here: Machine, remote: MemoryRemote) -> Held:
    """Folders d in each other, DEPTH of them, and a file f in the last: at Box, and heard of here."""
    assert sys.getrecursionlimit() < DEPTH
    with remote.someone() as box:
        tops = [box.create(Kind.FOLDER, ROOT_FOLDER, "d")]
        for _ in range(DEPTH - 1):
            tops.append(box.create(Kind.FOLDER, tops[-1].id, "d"))
        box.create(Kind.FILE, tops[-1].id, "f", b"bottom")
    here.hear()
    assert len(below(here)) == DEPTH + 1
    remote.calls.clear()
    return tops[0]


def below(here: Machine) -> list[Node]:
    """Everything below the root, from the top down."""
    return list(here.tree.descendants(ROOT_INO))


def edit(here: Machine, data: bytes) -> None:
    path = here.tree.path(below(here)[-1].ino)
    assert path is not None
    here.write(path, data)


def delete_all(here: Machine) -> None:
    for node in reversed(below(here)):
        with here.tree.change() as change:
            change.put(replace(node, parent=None, changed_ns=here.clock()))


def test_what_went_to_the_trash_is_gone(here: Machine, remote: MemoryRemote, top: Held) -> None:
    with remote.someone() as box:
        box.delete(top, recursive=True)
    here.hear()
    assert below(here) == []
    assert here.tree.pending_count() == 0


def test_what_comes_out_of_the_trash_is_there(here: Machine, remote: MemoryRemote, top: Held) -> None:
    with remote.someone() as box:
        box.delete(top, recursive=True)
    here.hear()
    with remote.someone() as box:
        box.restore(top)
    here.hear()
    (node,) = here.tree.children(ROOT_INO)
    while node.kind is Kind.FOLDER:  # the event tells of the top; what is in it is listed as somebody goes there
        here.sync.incoming.list_folder(node.ino)
        (node,) = here.tree.children(node.ino)
    assert node.name == "f"
    assert len(below(here)) == DEPTH + 1
    assert here.tree.pending_count() == 0


def test_what_went_while_something_in_it_was_edited_is_made_again(
    here: Machine, remote: MemoryRemote, top: Held
) -> None:
    edit(here, b"ours")
    with remote.someone() as box:
        box.delete(top, recursive=True)
    here.hear()
    assert len(below(here)) == DEPTH + 1
    assert here.tree.pending_count() == DEPTH + 1
    for level in range(1, 6):  # a parent before what is in it
        here.clock.pass_(130)
        assert here.push() == 1
        assert len(remote.box.tree()) == level


def test_an_edit_there_brings_back_all_that_was_deleted_here(here: Machine, remote: MemoryRemote, top: Held) -> None:
    delete_all(here)
    with remote.someone() as box:
        held = next(held for held in box.items.values() if held.name == "f")
        box.overwrite(held, b"theirs")
    here.hear()
    assert len(below(here)) == DEPTH + 1
    assert here.tree.pending_count() == 0


def test_all_of_it_goes_in_one_call(here: Machine, remote: MemoryRemote, top: Held) -> None:
    delete_all(here)
    here.settle()
    assert remote.written() == ["delete"]
    assert remote.box.tree() == {}


def test_it_is_moved_in_one_call(here: Machine, remote: MemoryRemote, top: Held) -> None:
    here.mkdir("e")
    here.settle()
    remote.calls.clear()
    here.rename("d", "e/d")
    here.settle()
    assert remote.written() == ["update"]
