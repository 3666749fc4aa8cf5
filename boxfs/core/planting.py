"""Planting: a folder that is listed for the first time.

The table holds nothing of it, so nothing of it can be pending, have moved, or stand in another's way.  Its items become
nodes in one go, without being looked for one by one.  Which items that holds of is decided here; the table has the
last word: where one of them is known already (it came from elsewhere, or its identity went to another inode), nothing
is planted, and the rules of core/merge.py find the place of each.
"""

from __future__ import annotations

from collections.abc import Iterable

from boxfs.base.types import Ino, Item, Kind
from boxfs.core import inodes
from boxfs.core.change import Change
from boxfs.core.memory import Memory
from boxfs.core.names import fold, mark_of
from boxfs.core.node import Node
from boxfs.core.shown import fresh


def plant(change: Change, memory: Memory, folder: Node, items: Iterable[Item]) -> list[Item]:
    """Put what is new and simple into the folder; return the items that need the rules."""
    items = list(items)
    if folder.complete or not folder.is_shown or memory.is_naming() or change.children(folder.ino):
        return items
    options, held = change.tree.options, change.tree.held_inos()
    nodes: dict[Ino, tuple[Node, str]] = {}
    names: set[str] = set()
    rest: list[Item] = []
    for item in items:
        ino = inodes.of_item(item.kind, item.id)
        if ino in nodes or ino in held or item.parent_id != folder.item_id or not _is_simple(item):
            rest.append(item)
            continue
        node = fresh(ino, folder.ino, item, options)
        folded = fold(node.name)
        if folded in names:
            rest.append(item)
            continue
        names.add(folded)
        nodes[ino] = node, folded
    if not change.plant(folder.ino, list(nodes.values())):
        return items
    for node, _ in nodes.values():
        assert node.remote is not None
        memory.unbury(node.remote.key)
    return rest


def _is_simple(item: Item) -> bool:
    """Tell whether a node of the item is just what Box says of it, and all of that was said."""
    if item.trashed or item.properties or not item.name or mark_of(item.name):
        return False
    return item.kind is not Kind.FILE or (item.version_id is not None and item.size is not None)
