"""TreeSurroundings: what lies around an open file or folder, as far as the tree knows.  Asks nothing of Box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from boxfs.base.types import Ino, Kind
from boxfs.core.neighbours import Sibling
from boxfs.core.node import Node
from boxfs.core.tree import Tree
from boxfs.core.version import FileVersion


def version_of(node: Node) -> FileVersion | None:
    """Return which bytes at Box the file shows; None where it shows others, or Box would not give them."""
    remote = node.remote
    if node.kind is not Kind.FILE or node.content is not None or remote is None or remote.trashed:
        return None
    if remote.version_id is None or remote.size is None or remote.can_download is False:
        return None
    return FileVersion(remote.id, remote.version_id, remote.size, remote.sha1)


_name = attrgetter("name")


class TreeSurroundings:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.walk_top: Callable[[], Ino | None] = lambda: None

    def siblings(self, folder: Ino) -> Sequence[Sibling]:
        return [
            Sibling(node.ino, node.name, version)
            for node in sorted(self._tree.children(folder), key=_name)  # as a listing has them
            if (version := version_of(node)) is not None and version.size
        ]

    def next_folder(self, folder: Ino) -> Ino | None:
        """Return the folder that the walk which is under way comes to next; None where none is, or it ends here."""
        top = self.walk_top()
        if top is None or not (folder == top or self._tree.is_below(folder, top)):
            return None
        return next(self._after(folder, top, wrap=False), None)

    def after(self, folder: Ino, top: Ino) -> Iterator[Ino]:
        """Yield the folders at or below `top` that a walk may come to, the likely ones first: below, beside, above."""
        return self._after(folder, top, wrap=True)

    def _after(self, folder: Ino, top: Ino, *, wrap: bool) -> Iterator[Ino]:
        yield from self._below(folder)
        while folder != top:
            node = self._tree.node(folder)
            if node is None or node.parent is None:
                return
            beside = self._tree.folders(node.parent)
            place = beside.index(folder) if folder in beside else 0
            before = beside[:place] if wrap else ()  # some programs sort by themselves
            for other in [*beside[place + 1 :], *before]:
                yield other
                yield from self._below(other)
            folder = node.parent

    def _below(self, folder: Ino) -> Iterator[Ino]:
        stack = self._tree.folders(folder)[::-1]
        while stack:
            following = stack.pop()
            yield following
            stack.extend(self._tree.folders(following)[::-1])

    def parent(self, folder: Ino) -> Ino | None:
        node = self._tree.node(folder)
        return node.parent if node is not None else None

    def is_listed(self, folder: Ino) -> bool:
        """Whether the table holds all of the folder; also true of one that Box does not have."""
        node = self._tree.node(folder)
        return node is None or node.remote is None or node.is_listed
