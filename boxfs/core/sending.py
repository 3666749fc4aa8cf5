"""Sending: one call of the plan, from the claim to what its failure means.  Who calls `run` waits for Box.

claim     its inodes are `memory.busy` while it is under way: news of them wait
make      core/making.py
judge     an error: the way to Box is shut for all (core/network.py), or the node is tried again later, with the
          reason where people see it
release   take in the news that waited
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from boxfs.base.errors import FsError, InDoubt, QuotaExceeded
from boxfs.base.types import Ino, Kind
from boxfs.core import backoff
from boxfs.core.bodies import Contents, GivenUp
from boxfs.core.calls import Call, Delete, MakeFolder, Update, Upload, UploadVersion
from boxfs.core.incoming import Incoming
from boxfs.core.making import Making
from boxfs.core.memory import Name
from boxfs.core.names import fold
from boxfs.core.network import Gateway
from boxfs.core.node import Node
from boxfs.core.remote import Remote
from boxfs.core.tree import Tree

log = logging.getLogger(__name__)


class Sending:
    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        incoming: Incoming,
        gateway: Gateway,
        contents: Contents,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tree, self._incoming, self._gateway = tree, incoming, gateway
        # While the account is full (until then, ns) no bytes are sent.  That there is room again is said by an upload
        # that Box took bytes of: an empty one always fits.
        self.full_until_ns = 0
        self._full_times = 0
        self.progress: dict[Ino, tuple[int, int]] = {}  # bytes sent, bytes in all, of uploads under way
        self.errors: dict[Ino, Exception] = {}  # the last one of each pending node that has one
        self.making = Making(tree, remote, incoming, contents, stopped=stopped, progress=self._note_progress)

    def inos(self, call: Call) -> tuple[Ino, ...]:
        return call.covers if isinstance(call, Delete) else (call.ino,)

    def claim(self, call: Call) -> bool:
        """Mark the call's inodes as busy; False where one is already."""
        with self._tree.lock:
            nodes = {ino: self._tree.node(ino) for ino in self.inos(call)}
            items = {ino: node.remote.key if node and node.remote else None for ino, node in nodes.items()}
            going = [key[1] for key in items.values() if isinstance(call, Delete) and key and key[0] is Kind.FOLDER]
            return self._incoming.memory.claim(items, self._name_at_box(call, nodes[call.ino]), going)

    def _name_at_box(self, call: Call, node: Node | None) -> Name | None:
        """Return the name that the call gives."""
        remote = node.remote if node is not None else None
        match call:
            case MakeFolder() | Upload():
                return (call.parent_id, fold(call.name))
            case UploadVersion() | Update() if remote is not None:
                parent_id = getattr(call, "parent_id", None) or remote.parent_id
                if parent_id is not None and (call.name is not None or parent_id != remote.parent_id):
                    return (parent_id, fold(call.name or remote.name))
        return None

    def release(self, call: Call) -> None:
        """The call is over: take in what was told of its inodes meanwhile."""
        self.progress.pop(call.ino, None)
        with self._tree.lock:
            news = self._incoming.memory.release(self.inos(call))
            if not news:
                return
            try:
                with self._tree.change() as change:
                    self._incoming.learn(change, news)
            except FsError:  # the stream has gone on past them: they must be asked for
                self._incoming.ask_for(item.key for item in news)
                raise

    def run(self, call: Call) -> None:
        """Make a claimed call.  Raises only what keeps its outcome from being stored (a full disk)."""
        try:
            if isinstance(call, (Upload, UploadVersion)) and self._tree.clock() < self.full_until_ns:
                node = self._tree.node(call.ino)
                if node is None or node.size:  # as the planner sees it, else it would plan the same again at once
                    raise GivenUp("the account is full")
            took = self.making.make(call)
            self._gateway.answered()
            if took:
                self.full_until_ns = self._full_times = 0
            for ino in self.inos(call):
                self.errors.pop(ino, None)
        except GivenUp:
            pass
        except FsError as error:
            if backoff.is_global(error):
                self._gateway.failed(error)
            else:
                if not isinstance(error, InDoubt):
                    self._gateway.answered()
                self._later(call, error)
        except Exception as error:
            log.exception("%s failed", type(call).__name__)
            self._gateway.answered()
            self._later(call, error)
        finally:
            self.release(call)

    def forgive(self) -> None:
        """Somebody wants it tried now."""
        self.full_until_ns = 0

    def _later(self, call: Call, error: Exception) -> None:
        """Keep it pending, with the reason, until a time that makes sense."""
        with self._tree.change(frees=True) as change:  # on a full disk too, else it is sent again at once
            node = change.node(call.ino)
            if node is None:
                return
            tries = node.attempts + 1
            wait_ns = int(backoff.delay_s(error, tries) * backoff.SECOND)
            if isinstance(error, QuotaExceeded) and self._tree.clock() >= self.full_until_ns:  # else as the one before
                self._full_times += 1
                self.full_until_ns = self._tree.clock() + int(backoff.delay_s(error, self._full_times) * backoff.SECOND)
            reason = backoff.reason(error)
            if node.error != reason:
                log.warning("%s: %s", self._tree.path(node.ino) or node.name, reason)
            change.put(replace(node, attempts=tries, not_before_ns=self._tree.clock() + wait_ns, error=reason))
            self.errors[call.ino] = error

    def _note_progress(self, ino: Ino, sent: int, size: int) -> None:
        self.progress[ino] = (sent, size)
