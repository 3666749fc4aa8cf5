"""Notices while a mount runs that its configuration or its credentials changed: files are watched, not polled.

The only door to watchdog.  Editors, and we ourselves, replace files by renaming: folders are watched, names compared.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from boxfs.base.ending import wait_for

log = logging.getLogger("boxfs.mount")

# Files are often written in several steps: react once, when it has been quiet for that long.
_QUIET_S = 0.5
_END_S = 5.0


class Watching:
    """Calls `changed(path)` from a thread of its own when one of `files` was created, written, replaced or removed."""

    def __init__(self, files: Iterable[Path], changed: Callable[[Path], None]) -> None:
        self._files = {os.path.abspath(path): path for path in files}
        self._changed = changed
        self._lock = threading.Lock()
        self._timers: dict[str, threading.Timer] = {}  # guarded by _lock
        self._observer = Observer()
        self._observer.daemon = True

    def start(self) -> None:
        handler = _Handler(self._seen)
        for folder in sorted({os.path.dirname(path) for path in self._files}):
            if os.path.isdir(folder):
                try:
                    self._observer.schedule(handler, folder, recursive=False)
                except OSError as error:  # no inotify instance left
                    log.warning("%s is not watched for changes: %s", folder, error)
        try:
            self._observer.start()
        except OSError as error:
            log.warning("changes of the configuration are not noticed; SIGHUP reads it again: %s", error)

    def close(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            wait_for(self._observer, _END_S)
        with self._lock:
            timers = list(self._timers.values())
            self._timers.clear()
        for timer in timers:
            timer.cancel()
            wait_for(timer, _END_S, "the taking up of a changed configuration")

    def _seen(self, path: str) -> None:
        known = os.path.abspath(path)
        if known not in self._files:
            return
        with self._lock:
            if known in self._timers:
                self._timers[known].cancel()
            timer = threading.Timer(_QUIET_S, self._tell, (known,))
            timer.daemon = True
            self._timers[known] = timer
            timer.start()

    def _tell(self, path: str) -> None:
        try:
            self._changed(self._files[path])
        except Exception:
            log.exception("the change of %s was not taken up", path)


class _Handler(FileSystemEventHandler):
    def __init__(self, seen: Callable[[str], None]) -> None:
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed_no_write"):
            return
        for path in (event.src_path, event.dest_path):
            if path:
                self._seen(os.fsdecode(path))
