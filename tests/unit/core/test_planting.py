"""A folder that is listed for the first time: what is new comes in in one go, and nothing that was known is hurt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from boxfs.base.errors import NoSpace
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Etag, Ino, Item, ItemId, Kind, VersionId
from boxfs.core import inodes
from boxfs.core.memory import Memory
from boxfs.core.merge import Merge
from boxfs.core.node import Node
from boxfs.core.options import CoreOptions
from boxfs.core.rows import from_row, to_row, told_row
from boxfs.core.shown import fresh
from boxfs.core.tree import Tree
from boxfs.store.records import Records
from boxfs.store.schema import COLUMN, TOLD_COLUMNS

FOLDER = ItemId("77")


def file(number: int, name: str, **changes: object) -> Item:
    item = Item(
        Kind.FILE, ItemId(str(number)), name, FOLDER, Etag("0"), 0, VersionId(f"{number}1"), "ab" * 20, 5,
        modified_ns=7_000_000_000, content_modified_ns=6_000_000_000, can_download=True, can_delete=False,
        properties={}, description="", shared_link="", lock={}, owner="alice@example.com",
    )  # fmt: skip
    return replace(item, **changes)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(Records(tmp_path / "state"), CoreOptions())
    with tree.change() as change:
        folder = Item(Kind.FOLDER, FOLDER, "folder", ROOT_FOLDER)
        change.put(fresh(inodes.of_item(Kind.FOLDER, FOLDER), ROOT_INO, folder, tree.options))
    yield tree
    tree.close()


def folder_of(tree: Tree) -> Node:
    found = tree.by_item(Kind.FOLDER, FOLDER)
    assert found is not None
    return found


def listed(tree: Tree, *items: Item) -> dict[str, Node]:
    """The folder as it is after Box has listed it so, read from the disk again."""
    memory = Memory()
    with tree.lock:
        listing = memory.listing_begins(FOLDER)
    with tree.change() as change:
        Merge(change, memory).listed(folder_of(tree), list(items), listing)
    cached = {node.name: node for node in tree.children(folder_of(tree).ino)}
    tree._drop_caches()
    stored = {node.name: node for node in tree.children(folder_of(tree).ino)}
    assert stored == cached
    assert {node.ino for node in stored.values()} == set(tree._listing(folder_of(tree).ino).inos())
    return stored


def test_a_row_of_what_box_told_is_that_of_the_node() -> None:
    for item in (file(1, "a"), file(2, "ü", description="d", tags=("x",), lock={"id": "1"}, properties=None)):
        node = fresh(Ino(5), Ino(9), item, CoreOptions())
        whole = to_row(node, False)
        assert told_row(node, node.name.lower()) == tuple(whole[COLUMN[name]] for name in TOLD_COLUMNS)
        assert from_row(whole) == node


def test_many_items_come_in_whole(tree: Tree) -> None:
    items = [file(number, f"f{number}") for number in range(1, 100)]
    items.append(Item(Kind.FOLDER, ItemId("5"), "below", FOLDER, properties={}))
    items.append(Item(Kind.WEB_LINK, ItemId("5"), "link", FOLDER, url="https://example.com", properties={}))
    found = listed(tree, *items)
    assert {name for name in found if name[0] == "f"} == {f"f{number}" for number in range(1, 100)}
    assert found["link.url"].size > len("https://example.com")
    assert folder_of(tree).complete
    assert tree.folders(folder_of(tree).ino) == [found["below"].ino]
    assert tree.pending_count() == 0


def test_what_is_not_simple_follows_the_rules(tree: Tree) -> None:
    found = listed(
        tree,
        file(1, "Same"),
        file(2, "same"),
        file(3, "run", properties={"boxfs.mode": "0755"}),
        file(4, "marked‛~1.txt"),
        file(5, "plain"),
    )
    assert set(found) >= {"run", "marked.txt", "plain"}
    assert (found["run"].mode, found["marked.txt"].mark) == (0o755, 1)
    assert sum(name.lower() == "same" for name in found) >= 1


def test_an_item_that_was_elsewhere_moves_here(tree: Tree) -> None:
    elsewhere = file(1, "moved", parent_id=ROOT_FOLDER)
    with tree.change() as change:
        change.put(fresh(inodes.of_item(Kind.FILE, elsewhere.id), ROOT_INO, elsewhere, tree.options))
    found = listed(tree, file(1, "moved", sequence_id=1), *(file(number, f"f{number}") for number in range(2, 30)))
    assert len(found) == 29
    assert tree.child(ROOT_INO, "moved") is None


def test_an_item_whose_identity_another_inode_has_keeps_it(tree: Tree) -> None:
    held = file(1, "ours", parent_id=ROOT_FOLDER)
    with tree.change() as change:
        counted = change.new_ino()
        change.put(fresh(counted, ROOT_INO, held, tree.options))
    found = listed(tree, file(1, "ours", sequence_id=1), file(2, "other"))
    assert found["ours"].ino == counted
    assert set(found) == {"ours", "other"}


def test_a_full_disk_says_so_and_nothing_is_half_done(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise NoSpace("full")

    before = folder_of(tree)
    with monkeypatch.context() as patched:
        patched.setattr(tree.records, "add_told", full)
        patched.setattr(tree.records, "put_nodes", full)
        with pytest.raises(NoSpace):
            listed(tree, *(file(number, f"f{number}") for number in range(1, 30)))
        assert folder_of(tree) == before
        assert tree.children(before.ino) == []
    with monkeypatch.context() as patched:  # the second attempt, after room was made, has it
        patched.setattr(tree.records, "add_told", full)
        assert len(listed(tree, *(file(number, f"f{number}") for number in range(1, 30)))) == 29


def test_a_folder_larger_than_what_is_held_in_memory_is_listed_whole(tmp_path: Path) -> None:
    tree = Tree(Records(tmp_path / "state"), CoreOptions(cached_nodes=50, cached_names=20))
    try:
        with tree.change() as change:
            folder = Item(Kind.FOLDER, FOLDER, "folder", ROOT_FOLDER)
            change.put(fresh(inodes.of_item(Kind.FOLDER, FOLDER), ROOT_INO, folder, tree.options))
        names = {f"f{number}" for number in range(1, 200)}
        for count in (200, 60, 52):  # most of it is not in memory, some of it, hardly anything of it
            found = listed(tree, *(file(number, f"f{number}") for number in range(1, count)))
            assert set(found) == {name for name in names if int(name[1:]) < count}
            again = tree.children(folder_of(tree).ino)
            assert {node.name for node in again} == set(found)
    finally:
        tree.close()
