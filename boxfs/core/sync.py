"""Sync: everything between the tree and Box, under one roof: threads, barrier, status, retry, rescue.

    sync = Sync(tree, remote, contents)
    sync.incoming.list_folder(ino)        # what the file system needs to know a folder
    sync.start(); ...; sync.barrier(None, timeout_s=60); sync.stop(10)

Threads: boxfs-planner, boxfs-upload-N, boxfs-push-N, boxfs-hearing (and boxfs-part-N within an upload in parts).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from boxfs.base.errors import FsError, NotFound, QuotaExceeded
from boxfs.base.types import ROOT_INO, Ino, Kind
from boxfs.core import attempts
from boxfs.core.backoff import reason
from boxfs.core.bodies import CHUNK, Contents
from boxfs.core.hearing import Hearing
from boxfs.core.incoming import Incoming
from boxfs.core.memory import Memory
from boxfs.core.network import Gateway
from boxfs.core.node import Node, Wanted
from boxfs.core.pushing import Pushing
from boxfs.core.remote import Remote
from boxfs.core.sending import Sending
from boxfs.core.status import Barrier, PendingItem, Progress, State, SyncStatus
from boxfs.core.tree import Tree

WHAT = {
    Wanted.CREATE: "new",
    Wanted.CONTENT: "content",
    Wanted.PLACE: "place",
    Wanted.TIME: "time",
    Wanted.PROPERTIES: "attributes",
    Wanted.DELETE: "deleted",
}
FULL = reason(QuotaExceeded("storage_limit_exceeded"))
PROBE_S = 10.0
SHOWN = 1000  # pending items in a status, at most


class Sync:
    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        contents: Contents,
        *,
        settle_s: Callable[[], float] | None = None,
        uploads: int = 4,
        linger_s: float = 0.0,
    ) -> None:
        self._tree = tree
        self._remote = remote
        self._contents = contents
        self._stopping = False
        self.gateway = Gateway(tree.clock)
        self.incoming = Incoming(tree, remote, Memory())
        self.hearing = Hearing(remote, self.incoming, self.gateway, now_ns=tree.clock, linger_s=linger_s)
        self.incoming.ensure_begun = self.hearing.ensure_begun
        self.incoming.on_strays = self.hearing.nudge
        self.sending = Sending(tree, remote, self.incoming, self.gateway, contents, stopped=lambda: self._stopping)
        self.pushing = Pushing(
            tree,
            self.sending,
            self.gateway,
            contents,
            busy=self.incoming.memory.busy,
            settle_s=settle_s or (lambda: tree.options.settle_s),
            uploads=uploads,
        )
        tree.on_pending = self.pushing.wake
        self.gateway.on_open(self.pushing.wake)

    # Life
    def start(self) -> None:
        """Begin to send and to listen.  After the fork, once."""
        if not self._tree.pending_count():
            attempts.forget_all(self._tree)
        self.pushing.start()
        self.hearing.start()

    def stop(self, timeout_s: float) -> bool:
        """End all threads; uploads under way are given up (and go on at the next start).  Returns whether all ended."""
        self._stopping = True
        until = time.monotonic() + timeout_s
        self.hearing.stop()
        self.pushing.stop()
        pushed = self.pushing.join(until)
        return self.hearing.join(max(0.0, until - time.monotonic())) and pushed

    def set_uploads(self, uploads: int) -> None:
        """How many uploads are under way at once, from now on."""
        self.pushing.set_uploads(uploads)

    # Barrier
    def barrier(
        self,
        ino: Ino | None,
        *,
        timeout_s: float | None,
        progress: Callable[[Progress], None] = lambda _now: None,
        patient: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        probe_s: float = PROBE_S,
    ) -> Barrier:
        """Send what is pending at and below `ino` (None: everything) now, and wait until Box has it.

        It ends before where what is left has failed (each is tried once more), or Box cannot be reached; `patient`: it
        waits for these too.  timeout_s: None waits for ever.  probe_s: how long a Box that is known to be out of reach
        is tried once more.
        """
        probed = time.monotonic() + probe_s
        until = None if timeout_s is None else time.monotonic() + timeout_s
        scope = None if ino in (None, ROOT_INO) else ino
        first = self._below(scope)
        total, total_bytes = len(first), sum(_bytes(node) for node in first)
        self._forgive(first)
        self.gateway.retry()
        ticket = self.pushing.hurry(None if scope is None else frozenset((scope,)))
        try:
            while True:
                began = time.monotonic()
                left = self._below(scope)
                took_s = time.monotonic() - began
                failed = [node for node in left if node.error is not None and node.ino not in self._busy]
                network = self.gateway.state
                why = None if network.online else network.why
                progress(
                    Progress(
                        len(left),
                        max(total, len(left)),
                        sum(max(0, _bytes(node) - self._sent(node.ino)) for node in left),
                        total_bytes,
                        len(failed),
                        why,
                    )
                )
                if not left:
                    return Barrier(True)
                if stopped() or self._stopping:
                    return self._not_done(left, "stopped")
                if until is not None and time.monotonic() >= until:
                    return self._not_done(left, why or "time is up")
                if not patient:
                    if why is not None and (network.until_ns > self._tree.clock() or time.monotonic() > probed):
                        return self._not_done(left, why)
                    full = [node for node in left if node.error is None and self._waits_for_room(node)]
                    if len(failed) + len(full) == len(left):
                        return self._not_done(left, (failed or left)[0].error or FULL)
                self.pushing.wait(0.2 if until is None else min(0.2, max(0.001, until - time.monotonic())))
                if took_s > 0.02:  # very much is pending: do not count it at every call that ends
                    rest_s = min(5 * took_s, 1.0)
                    time.sleep(rest_s if until is None else max(0.0, min(rest_s, until - time.monotonic())))
        finally:
            self.pushing.no_hurry(ticket)

    def upload_now(self, ino: Ino, timeout_s: float | None = None) -> None:
        """fsync=box: return when Box has the inode's bytes.  Raises what kept it from that."""
        end = self.barrier(ino, timeout_s=timeout_s)
        if not end.done:
            error = self.sending.errors.get(ino)
            if isinstance(error, FsError):
                raise error
            if end.why == FULL:
                raise QuotaExceeded(FULL)
            raise FsError(end.why or "not uploaded yet")

    def _waits_for_room(self, node: Node) -> bool:
        full = self.sending.full_until_ns > self._tree.clock()
        return full and bool(_bytes(node)) and node.ino not in self._busy

    def annotate(self, ino: Ino, description: str | None, tags: Sequence[str] | None) -> None:
        """Set what people see beside the item at Box, at once; None leaves it.  Raises what Box answers, Unreachable.

        Nothing of it is kept here for later: who sets it hears whether Box has it.
        """
        node = self._tree.node(ino)
        if node is not None and node.remote is None:
            self.upload_now(ino)
            node = self._tree.node(ino)
        if node is None or node.remote is None:
            raise NotFound("Box does not have it")
        item = self._remote.update(node.kind, node.remote.id, description=description, tags=tags)
        with self._tree.change() as change:
            self.incoming.learn(change, [item])

    def retry(self, ino: Ino | None = None) -> int:
        """Try everything that failed again now; return how many."""
        nodes = [node for node in self._below(ino) if node.attempts]
        self._forgive(nodes)
        self.gateway.retry()
        self.pushing.wake()
        return len(nodes)

    def _forgive(self, nodes: list[Node]) -> None:
        self.sending.forgive()
        failed = [node.ino for node in nodes if node.not_before_ns]
        for at in range(0, len(failed), 500):
            with self._tree.change() as change:
                for ino in failed[at : at + 500]:
                    node = change.node(ino)
                    if node is not None:
                        change.put(replace(node, not_before_ns=0, error=None))

    def _below(self, ino: Ino | None) -> list[Node]:
        nodes = [node for node in self._tree.pending() if self._tree.wanted(node)]
        if ino is None:
            return nodes
        return [node for node in nodes if self._is_below(node, ino)]

    def _is_below(self, node: Node, scope: Ino) -> bool:
        """Shown below it, or at Box below it."""
        if self._tree.is_below(node.ino, scope):
            return True
        seen: set[Ino] = set()  # what was told of two folders at different times may have each in the other
        remote = node.remote
        while remote is not None and remote.parent_id is not None:
            above = self._tree.by_item(Kind.FOLDER, remote.parent_id)
            if above is None or above.ino in seen:
                return False
            if above.ino == scope:
                return True
            seen.add(above.ino)
            remote = above.remote
        return False

    @property
    def _busy(self) -> set[Ino]:
        return self.incoming.memory.busy

    def _sent(self, ino: Ino) -> int:
        return self.sending.progress.get(ino, (0, 0))[0]

    def _not_done(self, left: list[Node], why: str | None) -> Barrier:
        return Barrier(False, tuple(self._describe(node) for node in left[:SHOWN]), why)

    # Status
    def status(self) -> SyncStatus:
        network = self.gateway.state
        position = self.incoming.position()
        nodes = self._below(None)
        with self._tree.lock:
            stale = len(self._tree.records.folders(stale=True))
        return SyncStatus(
            online=network.online,
            why_offline=network.why,
            next_try_ns=network.until_ns,
            pending=tuple(self._describe(node) for node in sorted(nodes, key=self._rank)[:SHOWN]),
            pending_count=len(nodes),
            pending_bytes=sum(_bytes(node) for node in nodes),
            errors=sum(node.error is not None for node in nodes),
            last_event_ns=self.hearing.last_event_ns,
            heard_ns=position[1] if position is not None else None,
            listening_error=self.hearing.error,
            stale_folders=stale,
        )

    def _rank(self, node: Node) -> int:
        """Where a status is cut: what failed comes first, then what is under way."""
        return 0 if node.error is not None else 1 if node.ino in self.pushing.under_way else 2

    def describe(self, ino: Ino) -> PendingItem | None:
        """Return how it stands with one inode, None where it is as Box has it."""
        node = self._tree.node(ino)
        return self._describe(node) if node is not None and self._tree.is_pending(ino) else None

    def _describe(self, node: Node) -> PendingItem:
        if node.ino in self.pushing.under_way:
            state = State.UPLOADING
        elif node.error is not None:
            state = State.ERROR
        elif not self.gateway.state.online:
            state = State.WAITING
        else:
            state = State.CONFLICT if node.conflict_of is not None else State.DIRTY
        wanted = self._tree.wanted(node)
        return PendingItem(
            ino=node.ino,
            path=self._path(node),
            what=tuple(word for flag, word in WHAT.items() if flag in wanted),
            state=state,
            size=_bytes(node),
            sent=self._sent(node.ino),
            error=node.error,
            attempts=node.attempts,
            retry_ns=node.not_before_ns,
            changed_ns=node.changed_ns,
        )

    def _path(self, node: Node) -> str:
        path = self._tree.path(node.ino)
        if path is not None:
            return path
        parts = [node.name]
        remote = node.remote
        while remote is not None and remote.parent_id is not None and len(parts) < 200:
            above = self._tree.by_item(Kind.FOLDER, remote.parent_id)
            if above is None or above.ino == ROOT_INO:
                break
            parts.append(above.name)
            remote = above.remote
        return "/".join(reversed(parts))

    # Rescue
    def rescue(self, target: Path) -> list[tuple[str, str | None]]:
        """Copy every content that Box has not got to `target`, under its path.

        Returns (path, what went wrong or None) of each; what cannot be read is left out, what can be read in part is
        named so.
        """
        out: list[tuple[str, str | None]] = []
        for node in self._below(None):
            if node.content is None or node.kind is not Kind.FILE:
                continue
            path = self._path(node)
            try:
                self._save(node, target / path)
                out.append((path, None))
            except (FsError, OSError, EOFError) as error:
                out.append((path, str(error)))
        return out

    def _save(self, node: Node, to: Path) -> None:
        source = self._contents.outgoing(node.ino)
        if source is None:
            raise FsError("there are no bytes of it")
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(to.name + ".part")
        try:
            with open(part, "wb") as file:
                for at in range(0, source.size, CHUNK):
                    file.write(source.read_at(at, min(CHUNK, source.size - at)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, to)
        finally:
            source.close()
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        os.utime(to, ns=(node.mtime_ns, node.mtime_ns))


def _bytes(node: Node) -> int:
    return node.size if node.content is not None else 0
