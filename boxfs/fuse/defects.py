"""Exceptions that are nobody's errno: defects of ours."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Defects:
    """Logs an exception that is nobody's errno, once for each place that it comes from."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, int]] = set()

    def report(self, request: str, ino: int, error: BaseException) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        key = (type(error).__name__, *place)
        if key in self._seen:
            log.debug("%s of inode %d failed again: %r", request, ino, error)
            return
        self._seen.add(key)
        log.error("%s of inode %d failed, told as EIO: %r", request, ino, error, exc_info=error)
