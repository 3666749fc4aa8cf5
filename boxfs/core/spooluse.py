"""SpoolUse: who needs which spool file, and what becomes of those that nobody needs.

A spool file is needed by the row that names it, by open files and by uploads that read it.  One that no row ever named
is removed at once when the last of them lets go; one that a row named only when the end of that row is on the disk
(`Spool.let_go`).

`_lock` is a leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from boxfs.core.change import Change
from boxfs.core.openfile import OpenFile
from boxfs.core.tree import Tree
from boxfs.store.spool import Spool, SpoolFile


class SpoolUse:
    def __init__(self, tree: Tree, spool: Spool) -> None:
        self._tree = tree
        self._spool = spool
        self._lock = threading.Lock()
        self._uses: dict[int, int] = {}  # how often a number is held; guarded by _lock
        self._named: set[int] = tree.records.spools_of_nodes()  # by a row; guarded by _lock
        self._doomed: set[int] = set()  # in use, but named by no row any more; guarded by _lock
        tree.on_spool_free = self._freed

    def new(self) -> SpoolFile:
        """Return a new spool file, held once."""
        spool = self._spool.new()
        self.hold(spool.number)
        return spool

    def file(self, number: int) -> SpoolFile:
        """Return the spool file that a row names; to be held."""
        return self._spool.file(number)

    def hold(self, number: int) -> None:
        with self._lock:
            self._uses[number] = self._uses.get(number, 0) + 1

    def let_go(self, number: int) -> None:
        """Undo one `hold`."""
        with self._lock:
            left = self._uses.get(number, 0) - 1
            if left > 0:
                self._uses[number] = left
                return
            self._uses.pop(number, None)
            doomed = number in self._doomed
            orphan = number not in self._named
            self._doomed.discard(number)
        if doomed:
            self._spool.let_go(number)
        elif orphan:
            self._spool.remove(number)

    def name(self, number: int, change: Change | None = None) -> None:
        """A row names the file, or will when `change` is committed."""
        with self._lock:
            if change is not None and number not in self._named:
                was_doomed = number in self._doomed
                change.undo.append(lambda: self._unname(number, was_doomed))
            self._named.add(number)
            self._doomed.discard(number)

    def _unname(self, number: int, was_doomed: bool) -> None:
        with self._lock:
            self._named.discard(number)
            if was_doomed:
                self._doomed.add(number)

    def _freed(self, number: int) -> None:
        """No row names it any more, as it seems."""
        with self._tree.lock:
            if self._tree.records.spool(number) is not None:
                return  # a writer has saved it anew since
            with self._lock:
                self._named.discard(number)
                if number in self._uses:
                    self._doomed.add(number)
                    return
        self._spool.let_go(number)

    @contextmanager
    def editing(self, file: OpenFile) -> Iterator[None]:
        """With the file's lock: a change of the bytes, after which a spool that was left behind is let go.

        Where it fails the file is as it was.
        """
        with file.lock:
            before, spool = file.state(), file.spool
            try:
                yield
            except BaseException:
                brought = file.spool
                file.restore(before)
                if brought is not None and brought is not spool:
                    brought.close()
                    self.let_go(brought.number)
                raise
            if spool is not None and file.spool is not spool:
                # The row still names it until the next save: only then may it go.
                self.let_go(spool.number)
