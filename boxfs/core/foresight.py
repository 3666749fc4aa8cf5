"""Foresight: hears what programs open and list, and sees to it that what comes next is here already.

Also where programs that would read everything (indexers, thumbnailers) are told that they get cached files only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from boxfs.base.types import Ino
from boxfs.core.node import Node
from boxfs.core.reading import NotCached, Reading
from boxfs.core.surroundings import TreeSurroundings, version_of
from boxfs.core.tree import Tree
from boxfs.core.walking import Walking

COMM_BYTES = 15  # what the kernel keeps of a name


class Foresight:
    def __init__(
        self,
        tree: Tree,
        reading: Reading,
        list_ahead: Callable[[Ino], object],
        cached_only: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """list_ahead: lists a folder in the background.  cached_only: names of programs that get cached files only."""
        self._reading = reading
        self._cached_only = cached_only
        around = TreeSurroundings(tree)
        reading.watch(around)
        self._walking = Walking(around, list_ahead)
        around.walk_top = self._walking.top

    def opens(self, node: Node, pid: int) -> None:
        """A program opens the file for reading.  Raises NotCached where it may not have it fetched."""
        version = version_of(node)
        if version is None or node.parent is None:
            return
        programs = self._cached_only()
        if programs and runs_one_of(pid, programs):
            if self._reading.cached_bytes(version) < version.size:
                raise NotCached(f"{node.name!r} is not on this machine, and this program gets cached files only")
            return
        self._reading.opened(node.parent, node.ino)

    def lists(self, folder: Ino) -> None:
        """A program opens the folder, which is perhaps not listed yet."""
        self._walking.opened(folder)

    def has_listed(self) -> None:
        """The folder had to be listed, and now is."""
        self._walking.listed()

    def close(self) -> None:
        self._walking.close()


def runs_one_of(pid: int, programs: Collection[str]) -> bool:
    """Whether the process runs a program of one of these names: its executable, its script, or what it calls itself."""
    return not _names(pid).isdisjoint({*programs, *(name[:COMM_BYTES] for name in programs)})


def _names(pid: int) -> set[str]:
    names = set()
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as comm:
            names.add(comm.read().rstrip("\n"))
        with open(f"/proc/{pid}/cmdline", errors="replace") as line:
            names.update(os.path.basename(word) for word in line.read().split("\0")[:2])
        names.add(os.path.basename(os.readlink(f"/proc/{pid}/exe")))
    except OSError:  # it ended, or is somebody else's
        pass
    return names - {""}
