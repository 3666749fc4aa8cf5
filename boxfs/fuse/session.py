"""One mount from beginning to end: mount, serve, hear signals, unmount.

Requests are answered by the workers of crew.py.  All threads start in `run`, so after a fork of the caller.

SIGTERM and SIGINT detach the mount: its place is free at once, files that are open go on until they are closed, for
`grace_s` seconds at most; then the connection is cut.  `fusermount3 -u` by somebody else ends the same way.  When the
workers have ended the caller's `on_unmounted` runs, which is where it uploads what is pending.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxfs.core.interface import Files
from boxfs.fuse import handshake, mountpoint
from boxfs.fuse.binding import Binding
from boxfs.fuse.crew import Crew
from boxfs.fuse.invalidation import Invalidator
from boxfs.fuse.library import Arguments, Library, load
from boxfs.fuse.mountpoint import MountError
from boxfs.fuse.operations import Operations
from boxfs.fuse.options import MountOptions
from boxfs.fuse.signals import Signals

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_BROKEN = 4  # the loop ended by itself, with an error
GRACE_S = 10.0  # how long files that are open go on once the mount is off its place
_ABORT_WAIT_S = 10.0
_LAST_S = 3.0  # for requests that still run when the mount is gone: nobody waits for their answers


def _nothing() -> None:
    return None


def _ignore(_number: int) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the caller does at turning points.

    on_ready: the mount answers.  In the thread that called `run`; an exception from it unmounts, and leaves `run`.
    on_signal: SIGTERM or SIGINT came, each time, also while on_unmounted runs; the first one has begun to detach the
    mount.  In a thread of the signals' own.
    on_hangup: SIGHUP came (reload settings, rotate logs); the same thread.  None: it means what SIGTERM does.
    on_unmounted: no request can come any more; the core may finish.  In the thread that called `run`.
    """

    on_ready: Callable[[], None] = _nothing
    on_signal: Callable[[int], None] = _ignore
    on_hangup: Callable[[], None] | None = None
    on_unmounted: Callable[[], None] = _nothing


class Session:
    """A mount of `files` at `mountpoint`.  `run` blocks until it is unmounted; `detach` may come from any thread."""

    def __init__(
        self,
        files: Files,
        mountpoint: str,
        options: MountOptions | None = None,
        hooks: Hooks | None = None,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        self.mountpoint = os.path.abspath(mountpoint)
        self.options = options or MountOptions()
        self._files = files
        self._hooks = hooks or Hooks()
        self._grace_s = grace_s
        self._news = threading.Event()  # a worker ended, or the mount is being detached
        self._stopping_since: float | None = None  # monotonic; None: nobody has asked for the end
        self._device: str | None = None
        self.invalidator: Invalidator | None = None

    def run(self) -> int:
        """Mount, serve until unmounted, return an exit code.  Raises MountError, FuseMissing, and what on_ready does.

        Signals are heard where this is the main thread.
        """
        library = load()
        # From here on nothing may look at the mount point itself: until the workers run, that look would wait for ever.
        self.mountpoint = mountpoint.prepare(
            self.mountpoint, subtype=self.options.subtype, nonempty=self.options.nonempty
        )
        operations = Operations(self._files)
        binding = Binding(library, operations, self.options)
        with Signals({signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._hang_up}):
            return self._serve(library, binding, operations)

    def _serve(self, library: Library, binding: Binding, operations: Operations) -> int:
        session = self._mount(library, binding)
        if self._stopping_since is not None:  # the signal came while there was nothing to detach yet
            self._detach()
        crew = Crew(library, session, self.options.workers, self._news.set)
        try:
            invalidator = Invalidator(_Kernel(library, session), operations, lambda: binding.seen_names)
            self.invalidator = invalidator
            if self.options.xattr and handshake.needed(library):
                operations.clears_set_id = handshake.answer_init(library, session)
            crew.start()
            invalidator.start()
            self._files.set_watcher(invalidator)
            try:
                self._settings_of_the_mount()
                self._hooks.on_ready()
            except BaseException:
                self.detach()
                raise
            finally:
                self._join(crew)
                invalidator.stop()
            broken = any(crew.results) and self._stopping_since is None
            self._hooks.on_unmounted()
        finally:
            if crew.has_ended:
                library.session_unmount(session)
                library.session_destroy(session)
        return EXIT_BROKEN if broken else EXIT_OK

    def detach(self) -> None:
        """Take the mount off its place and begin to end; returns at once, may be called again."""
        if self._begin_to_end(self._grace_s):
            threading.Thread(target=self._detach, name="boxfs-detach", daemon=True).start()

    def unmounted(self, grace_s: float) -> None:
        """The mount was taken off its place.  Who has it elsewhere all the same (a container or any process with
        mounts of its own got a copy when it began) has `grace_s` to let go of it; then the connection is cut.
        """
        self._begin_to_end(grace_s)

    def _begin_to_end(self, grace_s: float) -> bool:
        """Return whether this is the first word of it; later ones change nothing."""
        if self._stopping_since is not None:
            return False
        self._grace_s = grace_s
        self._stopping_since = time.monotonic()
        self._news.set()
        return True

    def _detach(self) -> None:
        try:
            mountpoint.detach(self.mountpoint)
        except MountError as error:
            if mountpoint.mounted_at(self.mountpoint) is not None:
                log.warning("%s", error)

    # Beginning
    def _mount(self, library: Library, binding: Binding) -> int:
        words = [b"boxfs", *(part for word in self.options.for_libfuse() for part in (b"-o", os.fsencode(word)))]
        vector = (ctypes.c_char_p * len(words))(*words)
        arguments = Arguments(len(words), vector, 0)
        table = ctypes.addressof(binding.table)
        session = library.session_new(ctypes.byref(arguments), table, ctypes.sizeof(binding.table), None)
        if not session:
            raise MountError("libfuse refuses the mount options: " + ",".join(self.options.for_libfuse()))
        if library.session_mount(session, os.fsencode(self.mountpoint)):
            library.session_destroy(session)
            raise MountError(f"cannot mount at {self.mountpoint}: libfuse says why above")
        mounted = mountpoint.mounted_at(self.mountpoint)
        self._device = mounted.device if mounted else None
        return int(session)

    def _settings_of_the_mount(self) -> None:
        if self._device is not None and self.options.read_ahead_kb:
            mountpoint.raise_read_ahead(self._device, self.options.read_ahead_kb)

    # End
    def _join(self, crew: Crew) -> None:
        """Wait for the workers: for ever while mounted, for `grace_s` once it is being detached, and when the mount is
        gone no longer than requests take that wait for nothing (the kernel reads ahead for programs that have ended).
        """
        while True:
            self._news.clear()  # before looking, so that nothing between the look and the wait is missed
            if crew.has_ended:
                break
            if 0 in crew.results:
                crew.join(_LAST_S, "a request whose mount is gone")
                return
            since = self._stopping_since
            left = None if since is None else since + self._grace_s - time.monotonic()
            if left is not None and left <= 0:
                self._cut(crew)
                return
            self._news.wait(left)
        crew.join()

    def _cut(self, crew: Crew) -> None:
        what = "something still holds %s after %.0f s (files that are still open, or a copy of the mount): cut off"
        log.warning(what, self.mountpoint, self._grace_s)
        if self._device is None or not mountpoint.abort(self._device):
            log.warning("the connection to the kernel cannot be cut; open files end with this process")
            return
        crew.join(_ABORT_WAIT_S)

    # Signals
    def _hang_up(self, number: int) -> None:
        if self._hooks.on_hangup is None:
            self._stop(number)
        else:
            self._hooks.on_hangup()

    def _stop(self, number: int) -> None:
        self.detach()
        self._hooks.on_signal(number)


class _Kernel:
    """The notices of invalidation.Kernel, by libfuse."""

    def __init__(self, library: Library, session: int) -> None:
        self._library = library
        self._session = session
        self._fd: int = library.session_fd(session)

    def drop_inode(self, ino: int) -> int:
        return self._told(self._library.inval_inode(self._session, ino, 0, 0))

    def drop_attributes(self, ino: int) -> int:
        return self._told(self._library.inval_inode(self._session, ino, -1, 0))

    def drop_name(self, parent: int, name: bytes) -> int:
        return self._told(self._library.inval_entry(self._session, parent, name, len(name)))

    def drop_listing(self, ino: int) -> int:
        # A name that no folder has: before it looks, the kernel waits for who is reading the folder.  Without that an
        # answer on its way to a reader would be kept although it is older than the notice.
        self._told(self._library.inval_entry(self._session, ino, b"/", 1))
        return self._told(self._library.inval_inode(self._session, ino, 0, 0))

    def drop_all_names(self) -> int:
        try:
            os.write(self._fd, _EPOCH_NOTICE)
        except OSError as error:
            return -(error.errno or 0)
        return 0

    @staticmethod
    def _told(result: Any) -> int:
        return int(result)


# struct fuse_out_header: length, FUSE_NOTIFY_INC_EPOCH (protocol 7.44, Linux 6.16), unique 0.  libfuse 3.18 has a call
# for it; the kernel takes it whatever libfuse knows.
_EPOCH_NOTICE = (16).to_bytes(4, sys.byteorder) + (8).to_bytes(4, sys.byteorder) + bytes(8)
