"""Puts a mount together: transport, BoxDrive, file system, kernel session.  The only place that knows them all.

    requests <- CallCounter <- Session (rate, retry, login) <- BoxDrive
    CACHE_DIR/state (Records), spool (Spool), blocks (Blocks) <- Tree, Reading, FileSystem, Sync <- fuse Session

What is opened is closed in the opposite order, also where a later part cannot be opened.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from boxfs.base.config import Options
from boxfs.base.errors import FsError
from boxfs.base.types import ROOT_INO, Account, Ino, Item
from boxfs.cli import logs
from boxfs.cli.begin import Beginning, keep, of_account
from boxfs.cli.control import Command
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.mount import Request
from boxfs.cli.served import Served
from boxfs.core.boxlock import BoxLocks
from boxfs.core.filesystem import FileSystem
from boxfs.core.foresight import Foresight
from boxfs.core.incoming import Incoming
from boxfs.core.node import Node
from boxfs.core.options import CoreOptions
from boxfs.core.outgoing import OpenContents
from boxfs.core.pinning import Pinning
from boxfs.core.reading import Reading, ReadingOptions
from boxfs.core.status import Progress, State
from boxfs.core.sync import PROBE_S, Sync
from boxfs.core.tree import Tree
from boxfs.core.version import FileVersion
from boxfs.fuse.options import MountOptions
from boxfs.fuse.session import GRACE_S, Hooks, Session
from boxfs.store.blocks import Blocks
from boxfs.store.records import Records
from boxfs.store.spool import Spool

# How long an end waits: for calls under way to be answered, and once they are cut off for their threads.
_STOP_QUICKLY_S, _STOP_TIMEOUT_S = 2.0, 5.0
log = logging.getLogger("boxfs.mount")

# A mount that lives no longer asks neither where to listen nor whose account it is.  A change elsewhere is to show
# within two seconds also just after the mount.
_LINGER_S = 1.0
_ACCOUNT_WAIT_S = 1.0  # how long a status waits for the account's name, where it was not asked for yet
_IDLE_S = 1.0  # how long copies of a mount that was unmounted live on, where no file is open in them


def core_options(options: Options) -> CoreOptions:
    fmask, dmask = options.masks()
    return CoreOptions(
        uid=os.geteuid() if options.uid is None else options.uid,
        gid=os.getegid() if options.gid is None else options.gid,
        fmask=fmask,
        dmask=dmask,
        read_only=options.ro,
        attributes=cast(Any, options.attributes),
        case=cast(Any, options.case),
        settle_s=options.settle,
        fsync=cast(Any, options.fsync),
        sync_on_close=options.sync,
        host=options.host or socket.gethostname().partition(".")[0] or "localhost",
        boxlock=options.boxlock,
    )


def mount_options(request: Request) -> MountOptions:
    options = request.options
    return MountOptions(
        fsname=options.fsname or str(request.remote),
        allow_other=options.allow_other,
        default_permissions=options.default_permissions,
        read_only=options.ro,
        nonempty=options.nonempty,
        extra=(*options.kernel, *(("allow_root",) if options.allow_root else ())),
        xattr=not options.noxattr,
        workers=options.workers,
    )


def build(request: Request, cache_dir: Path, beginning: Beginning) -> MountedDrive:
    """Open everything that a mount stands on.  Raises CliError, FsError with the reason why it cannot."""
    with contextlib.ExitStack() as opened:
        drive = MountedDrive(request, cache_dir, beginning, opened)
        drive.closing = opened.pop_all()
        return drive


class MountedDrive:
    """The Drive of `process.py`."""

    closing: contextlib.ExitStack

    def __init__(self, request: Request, cache_dir: Path, beginning: Beginning, opened: contextlib.ExitStack) -> None:
        # Constants
        self.mountpoint = str(request.mountpoint)
        self._cache_dir = cache_dir
        # Mutable state: replaced as a whole by `apply`
        self._request = request
        # Dependencies, from the network inwards
        options = request.options
        self.counter, self.box = beginning.counter, beginning.box
        opened.callback(self.box.close)
        self.records = Records(cache_dir / "state")
        opened.callback(self._close_state)
        self.blocks = Blocks(cache_dir / "blocks", options.cache_size)
        opened.callback(self.blocks.close)
        self.reading = Reading(
            self.box, self.blocks, ReadingOptions(downloads=options.downloads, patience_s=options.timeout)
        )
        opened.callback(self.reading.close)
        self._beginning = beginning
        self._known = beginning.start()
        self.tree = Tree(self.records, core_options(options), root_folder=self._known.root)
        lists = LaterLists()
        spool = Spool(cache_dir / "spool")
        spool.make_room = self.tree.make_room = self.blocks.shrink
        self.files = FileSystem(self.tree, spool, self.reading, lists, self._ask_account)
        self.sync = Sync(
            self.tree,
            self.box,
            OpenContents(self.files.files),
            settle_s=lambda: self._request.options.settle,
            uploads=options.uploads,
            linger_s=_LINGER_S,
        )
        lists.incoming = self.sync.incoming
        self._foresee(opened)
        self.files.barrier = self.sync.upload_now
        self.files.is_uploading = self.sync.incoming.memory.busy.__contains__
        self.files.annotate = self.sync.annotate
        self.files.is_cached = self._is_cached
        self._account_known = threading.Event()
        self._take_account()
        self._take_stream()
        self.files.why_offline = self.sync.gateway.why_offline
        self.files.came_back = self.sync.gateway.retry
        self._locks: BoxLocks | None = None
        if options.boxlock and not options.ro:
            self._locks = BoxLocks(
                self.tree, self.files.files, lambda item_id, until: self.box.set_lock(item_id, expires_ns=until)
            )
        self._session: Session | None = None
        self._served = Served(self)

    def _is_cached(self, item: Item) -> bool:
        if item.version_id is None or item.size is None:
            return False
        version = FileVersion(item.id, item.version_id, item.size, item.sha1)
        return self.reading.cached_bytes(version) >= item.size

    def _foresee(self, opened: contextlib.ExitStack) -> None:
        """What comes before anybody asks: neighbours, walks, pins."""
        incoming = self.sync.incoming
        self.pinning = Pinning(self.tree, self.reading, incoming.listed)
        opened.callback(self.pinning.close)
        self.files.listeners.append(self.pinning)
        self.tree.on_moved, self.files.files.on_adopted = self.pinning.moved, self.pinning.uploaded
        self.files.foresight = Foresight(
            self.tree,
            self.reading,
            lambda ino: incoming.listed(ino, background=True),
            lambda: self._request.options.cached_only,
        )
        opened.callback(self.files.foresight.close)

    # What the start has told, and what is asked later

    def _take_account(self) -> None:
        if self._known.space is not None:
            self.files.know_space(*self._known.space)
        self.files.wants_account = not self._known.account_id
        if self._known.account_id:
            self.files.account_id = self._known.account_id
            self._account_known.set()

    def _take_stream(self) -> None:
        incoming = self.sync.incoming
        if self._known.unproven:
            if self.tree.pending_count():
                raise CliError(
                    f"cache folder {self._cache_dir} holds what was not sent yet to an account that Box was not asked "
                    f"the name of, and this token may be another's; mount it with the former token, or give this mount "
                    "its own --cache-dir",
                    Exit.USAGE,
                )
            if incoming.position() is not None:
                incoming.lost(self.box.events_now(), "the account may be another one")
            keep(self._cache_dir, self._known)
        elif self._known.position is not None and incoming.position() is None:
            incoming.begin(self._known.position)

    def _ask_account(self) -> Account:
        account = self.box.account()
        if not self._known.account_id:
            self._known = of_account(self._known, account)
            keep(self._cache_dir, self._known)
            self._beginning.proven.belongs_to(account.id, proven=True)
            self._take_account()
        return account

    def _list_root_early(self) -> None:
        """Before anything can be heard or sent, so that what comes meanwhile is laid over the listing and not under."""
        root = self.tree.node(ROOT_INO)
        if self._known.position is None or root is None or root.complete:
            return
        begun = self.box.expect(self._known.root, self._beginning)

        def bring() -> None:
            try:
                self.sync.incoming.listed(ROOT_INO, background=True)
            except FsError as error:
                log.debug("the root is listed when it is asked for: %s", error)
            finally:
                begun.set()

        threading.Thread(target=bring, name="boxfs-first", daemon=True).start()
        begun.wait()

    # The Drive

    def serve(self, hooks: Hooks) -> int:
        """Threads start here: whoever forks does it before."""
        spare_the_collector()
        self._list_root_early()
        self.files.start()
        self.sync.start()
        self.pinning.start()
        if self._locks is not None:
            self._locks.start()
        self._session = Session(self.files, self.mountpoint, mount_options(self._request), hooks)
        return self._session.run()

    def detach(self) -> None:
        if self._session is not None:
            self._session.detach()

    def unmounted(self) -> None:
        if self._session is not None:
            self._session.unmounted(GRACE_S if self.files.is_in_use() else _IDLE_S)

    def status(self) -> dict[str, Any]:
        found = self.sync.status()
        if not self._account_known.is_set() and found.online:
            self.files.ask_account()
            self._account_known.wait(_ACCOUNT_WAIT_S)
        state = "online" if found.online else "offline"
        return {
            "state": state,
            "account": {"id": self._known.account_id, "name": self._known.name, "login": self._known.login},
            "pending": {"items": found.pending_count, "bytes": found.pending_bytes, "failed": found.errors},
            "uploading": [
                {"path": one.path, "bytes": one.size, "sent": one.sent}
                for one in found.pending
                if one.state is State.UPLOADING
            ],
            "problems": [
                {"path": one.path, "error": one.error, "attempts": one.attempts, "retry_s": one.retry_ns / 1e9}
                for one in found.pending
                if one.error is not None
            ],
            "cache": {"bytes": self.blocks.used_bytes, "limit": self.blocks.limit_bytes},
            "last_event_s": None if found.last_event_ns is None else found.last_event_ns / 1e9,
            "stale_folders": found.stale_folders,
            "errors": said_once(found.why_offline, found.listening_error),
            "next_try_s": found.next_try_ns / 1e9 if not found.online else None,
            "calls": {**self.counter.told(), "budget": self._request.options.call_budget},
        }

    def send(
        self,
        path: str,
        timeout_s: float | None,
        tell: Callable[[Mapping[str, Any]], None],
        stopped: Callable[[], bool] = lambda: False,
        probe_s: float = PROBE_S,
    ) -> dict[str, Any]:
        def told(now: Progress) -> None:
            tell({"items": now.left, "bytes": now.left_bytes, "failed": now.failed, "why": now.why_waiting})

        ino = self._served.ino_of(path) if path else None
        end = self.sync.barrier(ino, timeout_s=timeout_s, progress=told, stopped=stopped, probe_s=probe_s)
        left = {
            "items": len(end.left),
            "bytes": sum(one.size - one.sent for one in end.left),
            "failed": sum(one.error is not None for one in end.left),
        }
        problems = [{"path": one.path, "error": one.error} for one in end.left if one.error is not None]
        return {"pending": left, "problems": problems, "why": end.why}

    def commands(self) -> Mapping[str, Command]:
        return self._served.commands()

    def apply(self, request: Request) -> None:
        self._request = request
        logs.set_level(request.options.log_level)
        self.blocks.set_limit(request.options.cache_size)
        self.reading.set_downloads(request.options.downloads)
        self.sync.set_uploads(request.options.uploads)
        wanted = core_options(request.options)
        # Only what may change: another umask, say, would contradict what the kernel has cached.
        self.tree.options = replace(self.tree.options, fsync=wanted.fsync, sync_on_close=wanted.sync_on_close)
        if not self.sync.gateway.state.online:
            self.sync.gateway.retry()  # a new token, perhaps: do not wait for the next attempt's time

    def _close_state(self) -> None:
        """With the tree's lock, where there is a tree: not under a change that a thread left behind is making."""
        tree: Tree | None = getattr(self, "tree", None)
        (tree or self.records).close()

    def close(self) -> None:
        """The order: no new work, then what runs ends, then what it stood on is closed.

        Each wait is bounded: what Box does not answer is cut off, and who does not end even so is left behind.
        """
        online = self.sync.gateway.state.online
        if self._locks is not None:
            self._locks.stop(_STOP_TIMEOUT_S if online else 0.5)
        ended = online and self.sync.stop(_STOP_QUICKLY_S)
        self.box.close()  # ends what still waits for an answer, also of df, walks and pins; the next start goes on
        if not ended:
            self.sync.stop(_STOP_TIMEOUT_S)
        self.files.stop()
        self.closing.close()


def said_once(*texts: str | None) -> list[str]:
    """Return those that say something, each once: the outage and the listening often have one reason."""
    return [text for text in dict.fromkeys(texts) if text]


def spare_the_collector() -> None:
    """Have Python's collector of cycles look at less, less often: it took a seventh of a large folder's listing.

    What stands now, stays; and of the items of a listing, which come by the thousand, none is part of a cycle.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


class LaterLists:
    """The file system lists folders through Sync, which is built on the file system: the knot is tied here."""

    incoming: Incoming

    def listed(self, ino: Ino, *, background: bool = False) -> Node:
        return self.incoming.listed(ino, background=background)
