"""Pending: which inodes differ from Box, and which names at Box are held by those that the mount shows elsewhere.

The tree's lock guards it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from boxfs.base.types import Ino, Item, ItemId
from boxfs.core.names import fold
from boxfs.core.node import Node
from boxfs.core.wanted import in_place


class Pending:
    def __init__(self, node_of: Callable[[Ino], Node | None]) -> None:
        self.inos: set[Ino] = set()
        self._node_of = node_of
        self._vacated: dict[tuple[ItemId, str], Ino] = {}  # (folder, folded name) at Box of who is not shown there

    def recall(self, nodes: Iterable[Node]) -> None:
        """Begin anew with these."""
        self.inos.clear()
        self._vacated.clear()
        for node in nodes:
            self.add(node)

    def add(self, node: Node) -> None:
        self.inos.add(node.ino)
        remote = node.remote
        if remote is None or remote.parent_id is None or remote.trashed:
            return
        parent = None if node.parent is None else self._node_of(node.parent)
        if parent is None or not in_place(node, parent):
            self._vacated[_place(remote, remote.parent_id)] = node.ino

    def changes(self, node: Node) -> None:
        """The node is about to be another, or nothing: what was noted of its place at Box is not to be relied on."""
        remote = node.remote
        if remote is not None and remote.parent_id is not None and self._vacated:
            place = _place(remote, remote.parent_id)
            if self._vacated.get(place) == node.ino:
                del self._vacated[place]

    def who_vacated(self, folder_id: ItemId, box_name: str) -> Ino | None:
        """Return who has this name at Box, and is shown elsewhere or nowhere here."""
        return self._vacated.get((folder_id, fold(box_name)))


def _place(remote: Item, folder_id: ItemId) -> tuple[ItemId, str]:
    return folder_id, fold(remote.name)
