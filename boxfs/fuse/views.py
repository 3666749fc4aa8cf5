"""Which inode of the kernel stands for which bytes.

The kernel keeps one size and one set of pages for an inode, whoever has it open.  A handle that reads keeps the version
that it was opened at (boxfs/core/openfile.py), so when Box has a new one, two handles of one file may read different
bytes; under one kernel inode their pages would mix, and stay mixed.  So from then on the name leads to another inode of
the kernel (an alias: a number with bit 63 set, which no inode of the core has), as if the file had been replaced by
rename.  Who has it open goes on with the former one: its pages, its size, its bytes.  st_ino stays what it was.

So too where nobody has it open: the kernel still holds pages and size of the former bytes until it is told (which can
take as long as a read of some other file, since it waits for pages that are being read).  Who comes in between gets
another inode.

A handle of the former bytes that begins to write may find the core writing to the current ones; pages of the other
kernel inode are then dropped (`is_former`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from boxfs.base.errors import Changed, FsError
from boxfs.base.types import Attr, HandleNo, Ino
from boxfs.core.interface import Files

_ALIAS = 1 << 63


class Views:
    """node: a number that the kernel knows an inode by.  ino: the core's."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.Lock()  # a leaf: the core is never asked with it held
        self._aliases = itertools.count(_ALIAS)
        # guarded by _lock for writing
        self._inos: dict[int, Ino] = {}  # of aliases
        self._current: dict[Ino, int] = {}  # the alias that names lead to, where it is not the ino itself
        self._open: dict[int, set[HandleNo]] = {}  # handles, by the node they were opened by; no set is empty
        self._direct: dict[int, frozenset[HandleNo]] = {}  # those that pass the kernel's pages by, of any version
        self._changing: dict[Ino, int] = {}  # whose pages and size the kernel is yet to drop, and which change it was
        self._turns = itertools.count(1)
        self.turn = 0  # another one after each change that is to be dropped, and each move of names
        self._told: dict[int, int] = {}  # how often the kernel was told of an alias and has not forgotten it
        self.on_moved: Callable[[Ino], None] = lambda _ino: None  # names of it must be looked up again
        self.on_changed: Callable[[Ino], None] = lambda _ino: None  # pages of its current node must go

    def ino(self, node: int) -> Ino:
        """Raises Changed of an alias that the kernel has forgotten."""
        if node < _ALIAS:
            return Ino(node)
        ino = self._inos.get(node)
        if ino is None:
            raise Changed("what led here leads to other bytes now")
        return ino

    def told(self, node: int, ino: Ino) -> None:
        """The kernel is about to be told that a name leads to the node."""
        if node >= _ALIAS:
            with self._lock:
                self._told[node] = self._told.get(node, 0) + 1
                self._inos[node] = ino  # it may have been forgotten since it was looked for

    def is_former(self, node: int) -> bool:
        return self._current.get(self.ino(node), node) != node

    def node(self, ino: Ino) -> int:
        """Return the kernel inode that names of `ino` lead to now."""
        node = self._current.get(ino, ino)
        if self._has_moved_on(node) if node in self._open else ino in self._changing:
            node = self._move(ino, node)
        return node

    def expect(self, ino: Ino) -> None:
        """What the kernel holds of the file is not to be shown to who opens it from now on."""
        with self._lock:
            self.turn = self._changing[ino] = next(self._turns)

    def is_changing(self, ino: Ino) -> bool:
        return ino in self._changing

    def change_of(self, ino: Ino) -> int | None:
        """Return the last change that the kernel is yet to drop."""
        return self._changing.get(ino)

    def dropped(self, ino: Ino, change: int | None) -> None:
        """The kernel has dropped what it held as of then."""
        with self._lock:
            if change is not None and self._changing.get(ino) == change:
                del self._changing[ino]

    def content_changed(self, ino: Ino) -> int | None:
        """Return the kernel inode whose pages must go; None where they belong to handles that keep their version."""
        before = self._current.get(ino, ino)
        if before in self._open and self._has_moved_on(before):
            self._move(ino, before)
            return None
        return before

    def former(self, node: int) -> Attr | None:
        """Return the attributes of a kernel inode that no name leads to any more; None where one does.

        Raises Changed where nobody has it open.
        """
        ino = self.ino(node)
        if self.node(ino) == node:
            return None
        for handle in (*self._handles(node), *self._direct.get(node, ())):
            try:
                return self._files.handle_attr(handle)
            except FsError:
                continue  # closed meanwhile
        raise Changed(f"inode {ino} has other bytes now")

    def opened(self, node: int, handle: HandleNo) -> bool:
        """Count a handle that was opened by way of `node`; False where it has to be opened again, being old already.

        Raises Changed where names lead elsewhere by now.
        """
        ino = self.ino(node)
        if self.node(ino) != node:
            raise Changed(f"inode {ino} has other bytes now")
        if not self._files.is_current(handle):
            return False
        self.created(node, handle)
        return True

    def created(self, node: int, handle: HandleNo) -> None:
        with self._lock:
            self._open.setdefault(node, set()).add(handle)

    def opened_direct(self, node: int, handle: HandleNo) -> None:
        """Count a handle that was opened by way of a node that is of former bytes, and does not read its pages."""
        with self._lock:
            self._direct[node] = self._direct.get(node, frozenset()) | {handle}

    def released(self, node: int, handle: HandleNo) -> None:
        with self._lock:
            handles = self._open.get(node)
            if handles is not None:
                handles.discard(handle)
                if not handles:
                    del self._open[node]
            direct = self._direct.get(node)
            if direct is not None:
                if left := direct - {handle}:
                    self._direct[node] = left
                else:
                    del self._direct[node]
            self._let_go_locked(node)

    def forget(self, node: int, times: int) -> Ino | None:
        """The kernel has forgotten so many answers that told of the node; return what it stands for.

        They are counted since another one may be on its way.  With none left a former alias goes: no name leads to it.
        """
        if node < _ALIAS:
            return Ino(node)
        with self._lock:
            ino = self._inos.get(node)
            left = self._told.get(node, 0) - times
            if left > 0:
                self._told[node] = left
            else:
                self._told.pop(node, None)
                self._let_go_locked(node)
        return ino

    def _let_go_locked(self, node: int) -> None:
        """An alias that nobody has open, the kernel does not hold, and no name leads to."""
        ino = self._inos.get(node)
        held = node in self._open or node in self._direct or node in self._told
        if ino is not None and self._current.get(ino) != node and not held:
            del self._inos[node]

    def _handles(self, node: int) -> tuple[HandleNo, ...]:
        with self._lock:
            return tuple(self._open.get(node, ()))

    def _has_moved_on(self, node: int) -> bool:
        for handle in self._handles(node):
            try:
                return not self._files.is_current(handle)
            except FsError:
                continue  # closed meanwhile
        return False

    def _move(self, ino: Ino, node: int) -> int:
        with self._lock:
            current = self._current.get(ino, ino)
            if current != node:
                return current  # somebody else saw it first
            alias = next(self._aliases)
            self._inos[alias] = ino
            self._current[ino] = alias
            self._changing.pop(ino, None)
            self.turn = next(self._turns)
        self.on_moved(ino)
        return alias
