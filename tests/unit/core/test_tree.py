from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from boxfs.base.types import ROOT_INO, Etag, Ino, Item, ItemId, Kind, VersionId
from boxfs.core.node import Content, Node, Wanted
from boxfs.core.options import CoreOptions
from boxfs.core.shown import fresh
from boxfs.core.tree import Tree
from boxfs.store.records import Records, RecordsDamaged

OPTIONS = CoreOptions(cached_nodes=64)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(Records(tmp_path), OPTIONS)
    yield tree
    tree.close()


def file_item(number: int, name: str, parent: str = "0", **more: object) -> Item:
    given: dict[str, object] = {
        "etag": Etag("0"),
        "version_id": VersionId(f"9{number}"),
        "sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "size": 3,
        "content_modified_ns": 7_000_000_000,
        **more,
    }
    return Item(Kind.FILE, ItemId(str(number)), name, ItemId(parent), **given)  # type: ignore[arg-type]


def add(tree: Tree, item: Item, parent: Ino = ROOT_INO) -> Node:
    with tree.change() as change:
        return change.put(fresh(change.new_ino(item.kind, item.id), parent, item, tree.options))


CHANGES: dict[str, dict[str, object]] = {
    **{
        name: {name: value}
        for name, value in {
            "name": "other", "size": 7, "mtime_ns": 71, "ctime_ns": 72, "atime_ns": 73, "mode": 0o600, "uid": 3,
            "gid": 4, "kind_bits": stat.S_IFLNK, "rdev": 5, "target": "there", "xattrs": {"user.b": "c"},
            "complete": True, "stale": None, "changed_ns": 74, "attempts": 2, "not_before_ns": 75, "error": "\udcff",
            "conflict_of": None, "times_set": False, "mark": 3, "remote": None, "content": None,
        }.items()
    },
    "another edit": {"content": Content(4, 3, VersionId("92"), 4, Etag("1"), ItemId("78"))},
    "another spool": {"content": Content(5, 3, VersionId("92"), 4, Etag("1"))},
    "to what Box has": {"content": None, "size": 3, "mtime_ns": 7_000_000_000, "name": "n", "mode": None},
    "much": {"size": 7, "mtime_ns": 71, "times_set": False, "error": None},
}  # fmt: skip


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_of_a_node_survives_the_disk(tree: Tree, tmp_path: Path, what: str, flushed: bool) -> None:
    """A row is changed in a few columns where that is enough."""
    node = Node(
        Ino(5), Kind.FILE, ROOT_INO, "n", 9, 8, 7, 6, 0o640, 1, 2, 0, 3, None, {"user.a": "b"},
        Content(4, 2, VersionId("91"), 3, Etag("0")), file_item(77, "n"), False, "why", 11, 1, 12, "error", "of", True,
    )  # fmt: skip
    with tree.change() as change:
        change.put(node)
    tree._drop_caches()  # as one that was read from the disk
    with tree.change() as change:
        held = change.node(node.ino)
        assert held == node
        if flushed:
            held = change.put(replace(held, size=1000, changed_ns=1))
            change._flush()
        changed = change.put(replace(held, **CHANGES[what]))  # type: ignore[arg-type]
        changed = change.put(replace(changed, atime_ns=99))
    pending = tree.is_pending(node.ino)
    tree.close()
    again = Tree(Records(tmp_path), OPTIONS)
    assert again.node(node.ino) == changed
    assert again.is_pending(node.ino) == pending
    again.close()


def test_a_node_that_comes_back_in_one_change_survives_the_disk(tree: Tree, tmp_path: Path) -> None:
    node = add(tree, file_item(77, "n"))
    with tree.change() as change:
        change.put(replace(node, size=4))
        change.remove(node.ino)
        change._flush()
        back = change.put(replace(node, size=5))
    tree.close()
    again = Tree(Records(tmp_path), OPTIONS)
    assert again.node(node.ino) == back
    again.close()


def test_a_node_survives_the_disk_with_every_field(tree: Tree, tmp_path: Path) -> None:
    item = replace(
        file_item(77, "ä\\b", url="u", description="d", shared_link="s", owner="o"),
        tags=("x", "y"),
        lock={"id": "1"},
        properties={"boxfs.mode": "0755", "a": "b"},
        can_upload=False,
        can_delete=True,
        sequence_id=4,
        created_ns=1,
        modified_ns=2,
        content_created_ns=3,
    )
    node = Node(
        Ino(5), Kind.FILE, ROOT_INO, "\udcff name ", 9, 8, 7, 6, 0o640, 1, 2, 0, 3, "t\udc80", {"user.a": "b"},
        Content(4, 2, VersionId("91"), 3, Etag("0")), item, False, "why", 11, 1, 12, "error", "of", True, 2,
    )  # fmt: skip
    with tree.change() as change:
        change.put(node)
    tree.close()
    again = Tree(Records(tmp_path), OPTIONS)
    assert again.node(Ino(5)) == node
    assert again.child(ROOT_INO, "\udcff name ") == node
    assert [one.ino for one in again.pending()] == [5]
    again.close()


def test_names_are_found_exactly_and_their_holders_as_box_compares(tree: Tree) -> None:
    node = add(tree, file_item(1, "README"))
    assert tree.child(ROOT_INO, "README") == node
    assert tree.child(ROOT_INO, "readme") is None
    assert tree.holder(ROOT_INO, "readme") == node


def test_what_box_knows_has_a_number_that_survives_the_cache(tree: Tree) -> None:
    node = add(tree, file_item(1, "a"))
    folder = add(tree, Item(Kind.FOLDER, ItemId("1"), "b", ItemId("0")))
    assert node.ino != folder.ino
    assert tree.forget_clean() == 2
    assert tree.node(node.ino) is None
    assert add(tree, file_item(1, "a")).ino == node.ino


def test_an_error_undoes_memory_and_disk(tree: Tree) -> None:
    node = add(tree, file_item(1, "a"))
    number = None
    with pytest.raises(RuntimeError), tree.change() as change:  # noqa: PT012
        change.put(replace(node, name="b"))
        number = change.new_ino()
        change.put(Node(number, Kind.FILE, ROOT_INO, "c"))
        assert change.child(ROOT_INO, "b") is not None
        assert [one.name for one in change.children(ROOT_INO)] == ["b", "c"]
        raise RuntimeError
    assert tree.child(ROOT_INO, "a") == node
    assert tree.child(ROOT_INO, "c") is None
    assert list(tree.pending()) == []
    with tree.change() as change:
        assert change.new_ino() == number


def test_pending_follows_the_difference(tree: Tree) -> None:
    woken: list[int] = []
    tree.on_pending = lambda: woken.append(1)
    node = add(tree, file_item(1, "a"))
    assert tree.wanted(node) == Wanted.NOTHING
    assert not woken
    with tree.change() as change:
        node = change.put(replace(node, name="b", mtime_ns=8_000_000_000))
    assert tree.wanted(node) == Wanted.PLACE | Wanted.TIME
    assert woken
    with tree.change() as change:
        node = change.put(replace(node, name="a", mtime_ns=7_500_000_000))
    assert tree.wanted(node) == Wanted.NOTHING
    assert tree.pending_count() == 0
    with tree.change() as change:
        node = change.put(replace(node, parent=None))
    assert tree.wanted(node) == Wanted.DELETE
    assert tree.pending_below(ItemId("0")) == [node]


def test_children_are_in_place_once_their_folder_has_its_id(tree: Tree) -> None:
    with tree.change() as change:
        folder = change.put(Node(change.new_ino(), Kind.FOLDER, ROOT_INO, "d"))
        child = change.put(
            fresh(change.new_ino(Kind.FILE, ItemId("5")), folder.ino, file_item(5, "x", "77"), tree.options)
        )
    assert tree.wanted(folder) == Wanted.CREATE
    assert tree.wanted(child) == Wanted.PLACE
    with tree.change() as change:
        change.acknowledge(folder.ino, Item(Kind.FOLDER, ItemId("77"), "d", ItemId("0")))
    assert tree.pending_count() == 0


def test_an_upload_acknowledges_the_edit_that_it_took_and_no_later_one(tree: Tree) -> None:
    freed: list[int] = []
    tree.on_spool_free = freed.append
    with tree.change() as change:
        node = change.put(Node(change.new_ino(), Kind.FILE, ROOT_INO, "a", 3, 7_000_000_000, content=Content(1, 4)))
    with tree.change() as change:
        after = change.acknowledge(node.ino, file_item(9, "a"), 3)
    assert after is not None
    assert after.ino == node.ino
    assert after.content == Content(1, 4, base_etag=Etag("0"))
    assert tree.wanted(after) == Wanted.CONTENT
    with tree.change() as change:
        after = change.acknowledge(node.ino, file_item(9, "a", etag=Etag("1")), 4)
    assert after is not None
    assert after.content is None
    assert tree.pending_count() == 0
    assert freed == [1]
    assert tree.by_item(Kind.FILE, ItemId("9")) == after


def test_more_nodes_than_the_cache_holds_are_all_found(tree: Tree, tmp_path: Path) -> None:
    with tree.change() as change:
        for number in range(1, 2001):
            item = file_item(number, f"f{number}")
            change.put(fresh(change.new_ino(item.kind, item.id), ROOT_INO, item, tree.options))
    assert len(tree.children(ROOT_INO)) == 2000
    for number in range(1, 2001, 97):
        node = tree.by_item(Kind.FILE, ItemId(str(number)))
        assert node is not None
        assert node.name == f"f{number}"
        assert tree.child(ROOT_INO, f"f{number}") == node


def test_an_identity_moves_from_one_inode_to_another_in_one_transaction(tree: Tree) -> None:
    target = add(tree, file_item(1, "a"))
    with tree.change() as change:
        temp = change.put(Node(change.new_ino(), Kind.FILE, ROOT_INO, "a.tmp", content=Content(1, 1)))
        change.remove(target.ino)
        change.put(replace(temp, name="a", remote=target.remote))
    found = tree.by_item(Kind.FILE, ItemId("1"))
    assert found is not None
    assert found.ino == temp.ino
    with tree.change() as change:  # the item's own number is free, unless an open file still holds it
        assert change.new_ino(Kind.FILE, ItemId("1")) == target.ino
        tree.held_inos = lambda: {target.ino}
        assert change.new_ino(Kind.FILE, ItemId("1")) != target.ino


def test_the_watcher_hears_after_the_commit_and_without_the_lock(tree: Tree) -> None:
    heard: list[tuple[object, ...]] = []

    class Ear:
        def entry_gone(self, parent: Ino, name: str) -> None:
            assert not tree.lock._is_owned()  # type: ignore[attr-defined]
            heard.append((parent, name))

    tree.watcher = Ear()  # type: ignore[assignment]
    with tree.change() as change:
        change.entry_gone(ROOT_INO, "x")
        assert heard == []
    assert heard == [(1, "x")]


def test_a_damaged_state_is_moved_aside_with_its_spool(tmp_path: Path) -> None:
    Tree(Records(tmp_path), OPTIONS).close()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1").write_bytes(b"unsent")
    (tmp_path / "state.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(RecordsDamaged) as caught:
        Records(tmp_path)
    assert "damaged" in str(caught.value)
    (aside,) = tmp_path.glob("damaged-*")
    assert (aside / "spool" / "1").read_bytes() == b"unsent"
    Tree(Records(tmp_path), OPTIONS).close()


class Names:
    """A watcher that remembers whose names changed, and hears nothing else."""

    def __init__(self) -> None:
        self.folders: list[Ino] = []

    def names_changed(self, folder: Ino) -> None:
        self.folders.append(folder)

    def content_changing(self, ino: Ino) -> None: ...

    def everything_changed(self) -> None: ...


def test_folders_whose_names_changed_are_told_unless_a_program_asked_for_it(tree: Tree) -> None:
    tree.watcher = names = Names()  # type: ignore[assignment]
    two = add(tree, Item(Kind.FOLDER, ItemId("2"), "two", ItemId("0")))
    file = add(tree, file_item(1, "a"))
    assert names.folders == []  # neither folder was listed, so the kernel has no listing of it
    with tree.change() as change:
        for folder in (tree.node(ROOT_INO), two):
            assert folder is not None
            change.put(replace(folder, complete=True))
    assert names.folders == []

    def told(changed: Node | None, *, asked: bool = False) -> list[Ino]:
        names.folders.clear()
        with tree.change(asked=asked) as change:
            if changed is None:
                change.remove(file.ino)
            else:
                change.put(changed)
        return sorted(names.folders)

    assert told(replace(file, size=9)) == []
    assert told(replace(file, name="b")) == [ROOT_INO]
    assert told(replace(file, name="c"), asked=True) == []
    assert told(replace(file, name="c", kind_bits=stat.S_IFLNK)) == [ROOT_INO]
    assert told(replace(file, name="c", parent=two.ino)) == sorted([ROOT_INO, two.ino])
    assert told(replace(file, name="c", parent=None)) == [two.ino]
    assert told(replace(file, name="c", parent=two.ino)) == [two.ino]
    assert told(None) == [two.ino]
