"""CallCounter: a Transport that counts what goes to Box: by kind, in the last minute, this month; bytes both ways.

What counts is a request with a token (a call of the plan's quota); file bytes and long polls are free.  The month's
number is kept in the cache folder, so that a budget means something over restarts; a crash may lose the last few.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boxfs.api.http import Cost, Request, Response, Transport

_SAVE_EVERY = 50
_IDS = re.compile(r"(?<=/)[0-9A-Za-z!_.-]*[0-9][0-9A-Za-z!_.-]*(?=/|$)")


def kind_of(request: Request) -> str:
    """Return "GET /files/{id}/content": method and path, without ids and the API's base."""
    path = re.sub(r"^(/api)?/2\.0", "", urlsplit(request.url).path)
    return f"{request.method} {_IDS.sub('{id}', path)}"


class CallCounter:
    def __init__(self, inner: Transport, file: Path, clock: Callable[[], float] = time.time) -> None:
        # Dependencies
        self._inner = inner
        self._file = file
        self._clock = clock
        # Mutable state, guarded by _lock
        self._lock = threading.Lock()
        self._kinds: Counter[str] = Counter()
        self._recent: deque[float] = deque()  # times of the calls of the last minute
        self._calls = 0
        self._free = 0
        self._failed = 0
        self._sent_bytes = 0
        self._received_bytes = 0
        self._month, self._month_calls = self._load()

    def send(self, request: Request) -> Response:
        counted = request.cost is not Cost.FREE
        with self._lock:
            if counted:
                self._count_locked(kind_of(request))
            else:
                self._free += 1
            if request.body is not None:
                self._sent_bytes += request.body.size
        try:
            response = self._inner.send(request)
        except Exception:
            with self._lock:
                self._failed += 1
            raise
        if not request.stream:
            return response

        def read_into(buffer: memoryview) -> int:
            count = response.read_into(buffer)
            with self._lock:
                self._received_bytes += count
            return count

        return Response(response.status, response.headers, self._received(response), response.close, read_into)

    def _received(self, response: Response) -> Iterator[bytes]:
        with contextlib.closing(response):
            for chunk in response.chunks():
                with self._lock:
                    self._received_bytes += len(chunk)
                yield chunk

    def _count_locked(self, kind: str) -> None:
        now = self._clock()
        self._calls += 1
        self._kinds[kind] += 1
        self._recent.append(now)
        self._trim_locked(now)
        month = _month(now)
        if month != self._month:
            self._month, self._month_calls = month, 0
        self._month_calls += 1
        if self._month_calls % _SAVE_EVERY == 0:
            self._save_locked()

    def _trim_locked(self, now: float) -> None:
        while self._recent and self._recent[0] < now - 60:
            self._recent.popleft()

    def told(self) -> dict[str, Any]:
        """Return the numbers: total, last_minute, month, free, failed, *_bytes, and by_kind."""
        with self._lock:
            self._trim_locked(self._clock())
            return {
                "total": self._calls,
                "last_minute": len(self._recent),
                "month": self._month_calls,
                "free": self._free,
                "failed": self._failed,
                "sent_bytes": self._sent_bytes,
                "received_bytes": self._received_bytes,
                "by_kind": dict(self._kinds),
            }

    def close(self) -> None:
        with self._lock:
            self._save_locked()
        self._inner.close()

    def _load(self) -> tuple[str, int]:
        month = _month(self._clock())
        try:
            stored = json.loads(self._file.read_text())
            return month, int(stored["calls"]) if stored["month"] == month else 0
        except (OSError, ValueError, KeyError, TypeError):
            return month, 0

    def _save_locked(self) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the count of the month, not the mount
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps({"month": self._month, "calls": self._month_calls}))
            fresh.replace(self._file)


def _month(now: float) -> str:
    return time.strftime("%Y-%m", time.gmtime(now))
