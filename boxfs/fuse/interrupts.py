"""Programs that are killed while they wait for Box.

A request that the daemon has taken holds its program until it is answered; kill -9 alone does not end that wait.  What
the kernel does is to say FUSE_INTERRUPT at the first signal of any kind (a timer's, a child's), without its number.
To answer each with EINTR would break programs whose reads of a disk are never interrupted.  So boxfs looks at the
signals that are pending for the thread that asked, as NFS does: who is about to be ended by one gets EINTR at once,
everybody else goes on waiting.  A program that handles SIGINT (Ctrl-C; a notebook's "interrupt") is let go from what
only reads.  Since the kernel says it once for each request, a thread that goes on waiting is looked at again.

The answer is written beside libfuse, which never hears of it: when the work is done all the same its reply comes to
nothing (ENOENT), as it does for requests whose connection has gone.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

MESSAGE_BYTES = 48  # struct fuse_in_header and fuse_interrupt_in, linux/fuse.h
LOOK_S = 0.25  # how often those are looked at that go on waiting
_HEADER = struct.Struct("=IIQQIIIHH")  # len, opcode, unique, nodeid, uid, gid, pid, total_extlen, padding
_BODY = struct.Struct("=Q")
_OUT = struct.Struct("=IiQ")  # len, error, unique
_FLAGS = struct.Struct("=I")

# Opcodes, linux/fuse.h
_OPEN, _FLUSH, _RELEASE, _RELEASEDIR, _INTERRUPT = 14, 25, 18, 29, 36
_FORGET, _BATCH_FORGET, _DESTROY = 2, 42, 38
# What is closed is kept, whoever closes it; and what has no answer gets none.
_NEVER = {_FLUSH, _RELEASE, _RELEASEDIR, _FORGET, _BATCH_FORGET, _DESTROY}
# lookup, getattr, readlink, open, read, statfs, fsync, getxattr, listxattr, opendir, readdir, fsyncdir, access,
# readdirplus, lseek: what leaves everything as it is.
_READS = {1, 3, 5, _OPEN, 15, 17, 20, 22, 23, 27, 28, 30, 34, 44, 46}

# Signals whose default is to end the process, signal(7).
_IGNORED_BY_DEFAULT = {signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT}
_STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_ENDS = sum(1 << (number - 1) for number in range(1, 65) if number not in _IGNORED_BY_DEFAULT | _STOPS)
_KILL, _INT = 1 << (signal.SIGKILL - 1), 1 << (signal.SIGINT - 1)


@dataclass(frozen=True, slots=True)
class Request:
    """pid: of the thread that asked; 0: it is in a process namespace that we do not see.  reads: changes nothing."""

    unique: int
    opcode: int
    pid: int
    reads: bool


def interrupted(message: bytes) -> int | None:
    """Return which request (its unique) a message of MESSAGE_BYTES is about; None where it is none of the kind."""
    if _HEADER.unpack_from(message)[1] != _INTERRUPT:
        return None
    unique: int = _BODY.unpack_from(message, _HEADER.size)[0]
    return unique


def parse(message: bytes) -> Request:
    """message: a request as the kernel sent it, from its header on."""
    length, opcode, unique, _, _, _, pid, _, _ = _HEADER.unpack_from(message)
    reads = opcode in _READS
    if opcode == _OPEN and length >= _HEADER.size + _FLAGS.size:
        reads = not _FLAGS.unpack_from(message, _HEADER.size)[0] & os.O_TRUNC
    return Request(unique, opcode, pid, reads)


def is_to_be_let_go(request: Request) -> bool:
    """Whether the thread that waits for it is ended by a signal, or handles SIGINT and the request only reads."""
    if request.opcode in _NEVER or not request.pid:
        return False
    try:
        with open(f"/proc/{request.pid}/status", encoding="ascii", errors="replace") as status:
            fields = dict(line.split(":", 1) for line in status if line.startswith(("Sig", "ShdPnd")))
        thread, process, blocked, ignored, caught = (
            int(fields[name], 16) for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
        )
    except (OSError, KeyError, ValueError):
        return False  # gone; or no /proc, and then it waits as it always did
    pending = (thread | process) & ~blocked
    ends = thread & _KILL or pending & _ENDS & ~ignored & ~caught
    return bool(ends or (request.reads and pending & caught & _INT))


class Interrupts:
    """find: return the request of that unique while it is not answered.  fd: the connection to the kernel.
    answered: told of a request that nobody needs to answer any more.
    """

    def __init__(
        self, fd: int, find: Callable[[int], Request | None], answered: Callable[[int], None] = lambda _unique: None
    ) -> None:
        self._fd = fd
        self._find = find
        self._answered = answered
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        # guarded by _lock
        self._waiting: set[int] = set()
        self._is_watched = False

    def heard(self, unique: int) -> None:
        """The kernel says that a signal came to who waits for that request."""
        request = self._find(unique)
        if request is not None:
            if self._let_go(unique):
                return
            log.debug("thread %d had a signal and goes on waiting (opcode %d)", request.pid, request.opcode)
        with self._lock:  # also where its worker has just taken it and not yet said so
            self._waiting.add(unique)
            if self._is_watched or self._is_over.is_set():
                return
            try:
                threading.Thread(target=self._look_again, name="boxfs-fuse-interrupts", daemon=True).start()
            except RuntimeError as error:  # no more threads can be; the next signal tries again
                log.debug("programs that had a signal are not looked at again: %s", error)
            else:
                self._is_watched = True

    def end(self) -> None:
        self._is_over.set()

    def _let_go(self, unique: int) -> bool:
        """Answer it if its program is to be let go; return whether there is nothing more to look at."""
        request = self._find(unique)
        if request is None:
            return True
        if not is_to_be_let_go(request):
            return False
        try:
            os.write(self._fd, _OUT.pack(_OUT.size, -errno.EINTR, unique))
        except OSError as error:
            if error.errno != errno.ENOENT:  # answered meanwhile
                log.debug("a request (opcode %d) could not be interrupted: %s", request.opcode, error)
        else:
            log.debug("process %d was ended while it waited (opcode %d)", request.pid, request.opcode)
            self._answered(unique)
        return True

    def _look_again(self) -> None:
        while not self._is_over.wait(LOOK_S):
            with self._lock:
                if not self._waiting:
                    self._is_watched = False
                    return
                waiting = list(self._waiting)
            done = {unique for unique in waiting if self._let_go(unique)}
            with self._lock:
                self._waiting -= done
