"""Outlook: what the planner is to look at, gathered from the tree.

Gathered node by node, without holding the tree's lock throughout: a pending set of many thousands must not hold up a
program's write.  What changed meanwhile is found by who makes the call, who looks again (core/making.py).
"""

from __future__ import annotations

from collections.abc import Callable, Set

from boxfs.base.types import Ino, ItemId, Kind
from boxfs.core.node import Node, Wanted
from boxfs.core.planner import Outlook
from boxfs.core.tree import Tree
from boxfs.core.wanted import box_name


def gather(
    tree: Tree,
    *,
    settle_ns: int,
    busy: Set[Ino],
    writing: Callable[[Ino], bool],
    reading: Callable[[Ino], bool],
    scopes: Set[Ino] | None,
    full_until_ns: int = 0,
) -> Outlook:
    """scopes: inodes whose pending nodes (they, and all below them on either side) are hurried; None: all are."""
    nodes: dict[Ino, Node] = {}
    wanted: dict[Ino, Wanted] = {}
    names: dict[Ino, str] = {}
    ino_of: dict[ItemId, Ino] = {}
    open_ones: set[Ino] = set()
    for node in tree.pending():
        want = tree.wanted(node)
        if not want:
            continue
        nodes[node.ino] = node
        wanted[node.ino] = want
        names[node.ino] = box_name(node)
        sends_bytes = want & (Wanted.CREATE | Wanted.CONTENT) and not node.is_folder
        if writing(node.ino) if sends_bytes else Wanted.DELETE in want and reading(node.ino):
            open_ones.add(node.ino)
    above = Above(tree, nodes, ino_of)
    for ino in wanted:
        above.add_all(nodes[ino])
    hurried: set[Ino] | None = None
    if scopes is not None:
        hurried = {ino for ino in wanted if above.is_within(nodes[ino], scopes)} if scopes else set()
    return Outlook(
        nodes=nodes,
        wanted={ino: want for ino, want in wanted.items() if above.is_placed(nodes[ino])},
        names=names,
        ino_of=ino_of,
        now_ns=tree.clock(),
        settle_ns=settle_ns,
        busy=frozenset(busy),
        in_use=open_ones,
        hurried=hurried,
        full_until_ns=full_until_ns,
    )


class Above:
    """The folders above nodes, on both sides, each read once."""

    def __init__(self, tree: Tree, nodes: dict[Ino, Node], ino_of: dict[ItemId, Ino]) -> None:
        self._tree, self._nodes, self._ino_of = tree, nodes, ino_of
        self._done: set[Ino] = set()

    def add_all(self, node: Node) -> None:
        todo = [node]
        while todo:
            at = todo.pop()
            if at.ino in self._done:
                continue
            self._done.add(at.ino)
            self._nodes.setdefault(at.ino, at)
            if at.is_folder and at.remote is not None and not at.remote.trashed:
                self._ino_of[at.remote.id] = at.ino
            todo.extend(self._next(at))

    def _next(self, node: Node) -> list[Node]:
        out = []
        if node.parent is not None:
            local = self._nodes.get(node.parent) or self._tree.node(node.parent)
            if local is not None:
                out.append(local)
        if node.remote is not None and node.remote.parent_id is not None:
            remote = self._tree.by_item(Kind.FOLDER, node.remote.parent_id)
            if remote is not None:
                out.append(self._nodes.get(remote.ino, remote))
        return out

    def is_placed(self, node: Node) -> bool:
        """Tell whether the folder that shows the node is known (it is, unless it went in this very moment)."""
        return node.parent is None or node.parent in self._nodes

    def is_within(self, node: Node, scopes: Set[Ino]) -> bool:
        seen: set[Ino] = set()
        todo = [node]
        while todo:
            at = todo.pop()
            if at.ino in scopes:
                return True
            if at.ino not in seen:
                seen.add(at.ino)
                todo.extend(self._next(at))
        return False
