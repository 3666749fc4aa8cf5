"""Proof: whether what came of a version is what Box told the sha1 of.

A small file is proved before anybody sees a byte of it (source.py), and a version whose sha1 Box did not tell never is.
Of the others the cache remembers which were right as a whole: what comes again is proved again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from boxfs.base.errors import BadReply
from boxfs.core.digest import ReadReady, RunningDigest
from boxfs.core.version import FileVersion
from boxfs.store.blocks import Blocks


class WrongBytes(BadReply):
    """What came, and was shown but for the last of it, is not what Box told the sha1 of."""


class Proof:
    def __init__(self, version: FileVersion, blocks: Blocks, *, shown_proved: bool) -> None:
        """shown_proved: nobody sees bytes of it that are not proved."""
        self._key = version.key
        self._blocks = blocks
        self._digest = RunningDigest(version.size, version.sha1) if version.sha1 and not shown_proved else None
        self._lock = threading.Lock()  # that of the blocks' table is taken with it held
        # guarded by _lock
        self._begun = 0  # how often bytes were about to be fetched
        # Whether bytes may have come since the sha1 of all was last right; kept with the blocks.
        self._unproven = self._digest is not None and not blocks.is_proven(self._key)

    def comes(self, start: int) -> None:
        """Bytes from `start` on are about to be fetched.  One thread at a time."""
        if self._digest is not None:
            self._digest.doubt(start)
            with self._lock:
                self._begun += 1
                if not self._unproven:
                    self._unproven = True
                    self._blocks.prove(self._key, False)

    def offer(self, start: int, data: memoryview) -> None:
        """[start, start + len(data)) has come."""
        if self._digest is not None:
            self._digest.offer(start, data)

    def go_on(self, read_ready: ReadReady) -> None:
        """Hash what is at hand of what is next."""
        if self._digest is not None:
            self._digest.go_on(read_ready)

    def is_there(self) -> bool:
        """Whether nothing is left to prove, as far as can be told at once."""
        return not self._unproven or self._digest is None or self._digest.has_proved()

    def is_right(self, read_ready: ReadReady, wait: Callable[[int], object] | None) -> bool | None:
        """Return whether the whole is right; None where not all of it is at hand.

        wait: returns when the byte at that offset is at hand, if it is on its way.  Raises what that raises.
        None: nothing is waited for.
        """
        if self._digest is None or not self._unproven:
            return True
        begun, right, at = self._begun, self._digest.is_right(read_ready), -1
        while wait is not None and right is None and self._digest.at > at:
            at = self._digest.at
            wait(at)
            begun, right = self._begun, self._digest.is_right(read_ready)
        if right:
            with self._lock:
                if self._begun == begun:  # else what comes anew is not what was looked at
                    self._unproven = False
                    self._blocks.prove(self._key, True)
        return right

    def begin_anew(self) -> None:
        if self._digest is not None:
            self._digest.begin_anew()
