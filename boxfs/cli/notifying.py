"""Desktop notifications, where asked for (`-o notify`): a conflict, an upload that is stuck, a login that ended.

Each is told once.  By notify-send(1); where that is missing, it is said once in the log and that is all.
"""

from __future__ import annotations

import logging
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from boxfs.base.ending import wait_for

log = logging.getLogger("boxfs.mount")

_EVERY_S = 10.0
_STUCK_ATTEMPTS = 3  # failures before an upload counts as stuck: the first ones often pass by themselves
_END_S = 5.0
_AT_ONCE = 3  # a burst is told as a few and a count


def worth_telling(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (what it is, as a key, and its text) of everything that a person should hear of now."""
    for problem in status.get("problems", ()):
        if problem.get("attempts", 0) >= _STUCK_ATTEMPTS:
            yield f"stuck {problem['path']}", f"{problem['path']} cannot be sent: {problem['error']}"
    for error in status.get("errors", ()):
        if "log in" in error:
            yield f"login {error}", f"{status.get('remote', 'Box')}: {error}"


class _Conflicts(logging.Handler):
    """Hears of conflicts as they are resolved: they are over before anybody could see them in a status."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.put(record.getMessage())


class Notifying:
    """Looks at the mount's own status now and then."""

    def __init__(self, status: Callable[[], Mapping[str, Any]], every_s: float = _EVERY_S) -> None:
        self._status = status
        self._every_s = every_s
        self._told: set[str] = set()
        self._conflicts = _Conflicts()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify-desktop", daemon=True)

    def start(self) -> None:
        if shutil.which("notify-send") is None:
            log.warning("notify: notify-send is missing (apt install libnotify-bin); conflicts are in the log only")
            return
        logging.getLogger("boxfs.core.conflicts").addHandler(self._conflicts)
        self._thread.start()

    def close(self) -> None:
        logging.getLogger("boxfs.core.conflicts").removeHandler(self._conflicts)
        self._stop.set()
        wait_for(self._thread, _END_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.look()
            except Exception:
                log.exception("notify: the mount's status could not be looked at")

    def look(self) -> None:
        """Tell what is new."""
        now = dict(worth_telling(self._status()))
        fresh = [text for key, text in now.items() if key not in self._told]
        self._told = set(now)  # what is over may be told again when it comes back
        while not self._conflicts.heard.empty():
            fresh.append(self._conflicts.heard.get())
        for text in fresh[:_AT_ONCE]:
            _send(text)
        if len(fresh) > _AT_ONCE:
            _send(f"and {len(fresh) - _AT_ONCE} more: boxfs status")


def _send(text: str) -> None:
    try:
        subprocess.run(
            ["notify-send", "--app-name=boxfs", "--", "boxfs", text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("notify: %s", error)
