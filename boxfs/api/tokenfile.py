"""FileStore: tokens in a file of mode 0600, shared by processes on one machine.

A lock file beside it (flock, so that it ends with its process) holds others off during a renewal.  The file is replaced
whole: new content, fsync, rename, fsync of the folder.  So it holds the old pair or the new one, never less.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxfs.api.tokens import Tokens
from boxfs.base.errors import Unreachable

# Longer than any renewal with its repetitions; a process that holds the lock longer is stuck.
PATIENCE_S = 180.0
LOOK_S = 0.02


class FileStore:
    """path: of the file; its folder is made (0700) when tokens are saved."""

    def __init__(self, path: Path | str, *, patience_s: float = PATIENCE_S) -> None:
        self.path = Path(path)
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._patience_s = patience_s

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Opened anew each time: flock belongs to the open file, so threads of one process exclude each other too.
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unreachable(
                        f"another process has held {self._lock_path} for {self._patience_s:.0f} s: end it"
                    ) from None
                time.sleep(LOOK_S)
            else:
                return

    def load(self) -> Tokens | None:
        try:
            return Tokens.from_json(self.path.read_bytes())
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A process that was killed here leaves its new file; nobody else writes while we hold the lock.
        new = self.path.with_name(f".{self.path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(tokens.to_json())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        _fsync_folder(self.path.parent)

    def clear(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
            _fsync_folder(self.path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
