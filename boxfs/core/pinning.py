"""Pinning: files and folders that are kept whole on this machine, readable offline, and fresh.

The set of pins (items of Box, by kind and id) is a fact of the records, so it lives through restarts and a cache that
was cleared.  Whatever is below a pinned folder is pinned.  A pinned file is fetched when it is pinned or comes to be
below a pinned folder, when Box has new bytes of it, and at start-up what is missing; its blocks are not evicted.  What
cannot be fetched now (no network, no room) is tried again, and said in `progress`.

Files with the same bytes share their blocks, so what one of them holds stays while another is pinned.

Threads: jobs on workers of its own; whoever tells of changes (Watcher, `moved`, `uploaded`) is answered at once.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from boxfs.base.errors import FsError, InvalidArgument, NotFound
from boxfs.base.types import Ino, ItemId, Kind
from boxfs.core.node import Node
from boxfs.core.reading import Reading
from boxfs.core.surroundings import version_of
from boxfs.core.tree import Tree
from boxfs.core.version import FileVersion
from boxfs.core.workers import Job, Workers

log = logging.getLogger(__name__)

FACT = "pins"
AGAIN_S = 60.0
AT_ONCE = 4  # files fetched side by side, each over several connections

Key = tuple[Kind, ItemId]


@dataclass(frozen=True, slots=True)
class PinProgress:
    """How far a pin has come.  done: nothing is left to be looked at; errors: what failed, by path, one line each."""

    files: int
    files_here: int
    bytes: int
    bytes_here: int
    done: bool
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    """A pinned file: which version is (being) kept, and how much of it is here."""

    version: FileVersion
    here: int = 0
    error: str | None = None


class Pinning:
    def __init__(self, tree: Tree, reading: Reading, list_folder: Callable[[Ino], object]) -> None:
        """list_folder: sees to it that the tree holds all of the folder; asks Box where it must."""
        self._tree = tree
        self._reading = reading
        self._list = list_folder
        self._workers = Workers("boxfs-pin", background=1, most=AT_ONCE)
        self._lock = threading.Condition()
        # guarded by _lock
        self._pins: set[Key] = {(Kind(kind), ItemId(item)) for kind, item in json.loads(tree.fact(FACT) or "[]")}
        self._held: dict[Ino, _Held] = {}
        self._failed: dict[Ino, str] = {}  # folders that could not be listed
        self._queued: set[Ino] = set()  # to be looked at
        self._running: list[Ino] = []  # being looked at; one may be queued again meanwhile
        self._again: threading.Timer | None = None
        self._sweep = False  # pins of the cache that stem from an earlier run are still to be compared
        self._letting_go = False  # what is pinned no more is about to be looked for
        self._closed = False

    # What people ask for

    def pin(self, ino: Ino) -> None:
        """Keep the file, or all that is below the folder, from now on.  Returns at once.

        Raises NotFound, InvalidArgument (Box does not have it yet).
        """
        key = self._key(ino)
        with self._lock:
            self._store_locked(self._pins | {key})
        self._look(ino)

    def unpin(self, ino: Ino) -> None:
        """Let the cache evict it when it needs room.

        Raises NotFound; InvalidArgument where a folder above is pinned.
        """
        key = self._key(ino)
        with self._lock:
            if key not in self._pins and self.is_pinned(ino):
                raise InvalidArgument("a folder above it is pinned; unpin that one")
            self._store_locked(self._pins - {key})
        self._let_go()

    def evict(self, ino: Ino) -> tuple[int, int]:
        """Drop the bytes of the file, or of all that the tree knows below the folder; return how many files and bytes.

        Raises NotFound, InvalidArgument where it is pinned, or a pinned file has the same bytes.  Bytes that Box does
        not have are not the cache's.
        """
        node = self._node(ino)
        files = freed = 0
        with self._lock:
            kept = self._keys_locked()
        for each in [node] if not node.is_folder else [node, *self._tree.descendants(ino)]:
            if self.is_pinned(each.ino):
                if each.ino == ino:
                    raise InvalidArgument("it is pinned; unpin it first")
                continue
            version = version_of(each)
            if version is not None and version.key in kept:
                if each.ino == ino:
                    raise InvalidArgument("a pinned file has the same bytes; unpin that one first")
                continue
            if version is not None:
                size = self._reading.evict(version)
                files, freed = files + bool(size), freed + size
        return files, freed

    def pinned(self) -> list[str]:
        """Return the paths of what is pinned, below the mount's root; an item that is unknown now as KIND ID."""
        with self._lock:
            pins = sorted(self._pins)
        nodes = [(key, self._tree.by_item(*key)) for key in pins]
        paths = [(key, self._tree.path(node.ino) if node is not None else None) for key, node in nodes]
        return [f"{key[0]} {key[1]}" if path is None else path for key, path in paths]

    def is_pinned(self, ino: Ino) -> bool:
        """Whether the item or a folder above it is pinned."""
        if not self._pins:
            return False
        node = self._tree.node(ino)
        while node is not None:
            if node.remote is not None and node.remote.key in self._pins:
                return True
            node = self._tree.node(node.parent) if node.parent is not None else None
        return False

    def progress(self, ino: Ino) -> PinProgress:
        """Tell how much of what is pinned at or below `ino` is here."""
        with self._lock:
            held = [(each, entry) for each, entry in self._held.items() if self._is_at_or_below(each, ino)]
            queued = any(self._is_at_or_below(each, ino) for each in [*self._running, *self._queued])
            failed = {each: why for each, why in self._failed.items() if self._is_at_or_below(each, ino)}
        failed |= {each: entry.error for each, entry in held if entry.error is not None}
        return PinProgress(
            files=len(held),
            files_here=sum(entry.here >= entry.version.size for _, entry in held),
            bytes=sum(entry.version.size for _, entry in held),
            bytes_here=sum(entry.here for _, entry in held),
            done=not queued,
            errors={self._tree.path(each) or str(each): why for each, why in failed.items()},
        )

    def wait(self, ino: Ino, tell: Callable[[PinProgress], None] = lambda _: None, step_s: float = 0.5) -> PinProgress:
        """Wait until nothing is left to fetch for `ino` (errors are not waited for); `tell` hears how far it is."""
        while True:
            now = self.progress(ino)
            tell(now)
            if now.done or self._closed:
                return now
            with self._lock:
                self._lock.wait(step_s)

    # Life

    def start(self) -> None:
        """Look at everything that is pinned: what came while nothing was mounted, what was lost."""
        with self._lock:
            pins = list(self._pins)
            self._sweep = True
        for key in pins:
            node = self._tree.by_item(*key)
            if node is not None:
                self._look(node.ino)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._again is not None:
                self._again.cancel()
            self._lock.notify_all()
        self._workers.close(timeout_s=1.0)

    # Watcher: what Box changed

    def content_changing(self, ino: Ino) -> None: ...

    def content_changed(self, ino: Ino) -> None:
        if self._pins:
            self._look(ino)

    def attributes_changed(self, ino: Ino) -> None: ...

    def entry_appeared(self, parent: Ino, name: str) -> None:
        if self._pins:
            node = self._tree.child(parent, name)
            if node is not None:
                self._look(node.ino)

    def entry_gone(self, parent: Ino, name: str) -> None:
        del parent, name
        self._let_go_soon()

    def names_changed(self, folder: Ino) -> None: ...

    def everything_changed(self) -> None:
        self.start()

    # What came through the mount, of which watchers do not hear

    def moved(self, ino: Ino) -> None:
        """The file or folder was moved here from one folder to another, or removed."""
        if self._pins:
            if self.is_pinned(ino):
                self._look(ino)
            self._let_go_soon()

    def uploaded(self, ino: Ino) -> None:
        """Box has the bytes that were written here, and so has the cache, if it could take them."""
        if self._pins and self.is_pinned(ino):
            self._look(ino)

    # Inside

    def _node(self, ino: Ino) -> Node:
        node = self._tree.node(ino)
        if node is None or not node.is_shown:
            raise NotFound("it is gone")
        return node

    def _key(self, ino: Ino) -> Key:
        node = self._node(ino)
        if node.remote is None:
            raise InvalidArgument("Box does not have it yet; pin it when it is uploaded")
        return node.remote.key

    def _store_locked(self, pins: set[Key]) -> None:
        with self._tree.change() as change:
            change.set_fact(FACT, json.dumps(sorted(pins)))
        self._pins = pins

    def _is_at_or_below(self, ino: Ino, top: Ino) -> bool:
        return ino == top or self._tree.is_below(ino, top)

    def _look(self, ino: Ino) -> None:
        with self._lock:
            if self._closed or ino in self._queued:
                return
            self._queued.add(ino)
        if not self._workers.submit(Job(partial(self._check, ino), small=True), urgent=False):
            with self._lock:
                self._queued.discard(ino)

    def _check(self, ino: Ino) -> None:
        """Bring one file, or look at what is in one folder."""
        with self._lock:
            self._queued.discard(ino)
            self._running.append(ino)
        try:
            node = self._tree.node(ino)
            if node is None or not self.is_pinned(ino):
                return
            if node.is_folder:
                self._list(ino)
                with self._lock:
                    self._failed.pop(ino, None)
                for child in self._tree.children(ino):
                    self._look(child.ino)
            else:
                self._bring(node)
        except FsError as error:
            log.info("pinned: %s: %s", self._tree.path(ino), error)
            self._failed_at(ino, str(error))
        finally:
            with self._lock:
                self._running.remove(ino)
                swept = self._sweep and not self._queued and not self._running and not self._failed
                self._sweep = self._sweep and not swept
                versions = [held.version for held in self._held.values()] if swept else []
                self._lock.notify_all()
            if swept:
                self._reading.unpin_others(versions)

    def _bring(self, node: Node) -> None:
        version = version_of(node)
        if version is None:
            return  # newer here; it is looked at again when Box has it
        with self._lock:
            old = self._held.get(node.ino)
            held = self._held[node.ino] = _Held(version)
            self._reading.pin(version)
            if old is not None and old.version.key != version.key and old.version.key not in self._keys_locked():
                self._reading.unpin(old.version)
        if not self.is_pinned(node.ino):  # no more, since somebody looked
            self._let_go()
            return

        def tell(here: int, _size: int) -> None:
            held.here = here

        self._reading.fetch_all(version, progress=tell)
        held.here = version.size

    def _failed_at(self, ino: Ino, why: str) -> None:
        with self._lock:
            held = self._held.get(ino)
            if held is not None:
                held.error = why
            else:
                self._failed[ino] = why
            if self._again is None and not self._closed:
                self._again = threading.Timer(AGAIN_S, self._try_again)
                self._again.daemon = True
                self._again.start()

    def _try_again(self) -> None:
        with self._lock:
            self._again = None
            failed = [*self._failed, *(ino for ino, held in self._held.items() if held.error is not None)]
        for ino in failed:
            self._look(ino)

    def _let_go_soon(self) -> None:
        with self._lock:
            if self._letting_go or not self._held:
                return
            self._letting_go = True
        self._workers.submit(Job(self._let_go, small=True), urgent=False)

    def _let_go(self) -> None:
        """Unpin the blocks of files that are pinned no more, or gone."""
        with self._lock:
            self._letting_go = False
            gone = [self._held.pop(ino).version for ino in list(self._held) if not self.is_pinned(ino)]
            kept = self._keys_locked() if gone else set()
            for version in gone:
                if version.key not in kept:
                    self._reading.unpin(version)
            self._failed = {ino: why for ino, why in self._failed.items() if self.is_pinned(ino)}

    def _keys_locked(self) -> set[str]:
        return {held.version.key for held in self._held.values()}
