"""One line that says how far something is: rewritten in place on a terminal, now and then a new line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import click

from boxfs.base.units import format_size

_EVERY_S = 5.0  # between lines where nobody looks live (a log, a pipe)


class StatusLine:
    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = ""
        self._last = 0.0

    def show(self, text: str) -> None:
        if text == self._shown:
            return
        now = time.monotonic()
        if self._live:
            click.echo(f"\r{text}\x1b[K", nl=False, file=self._stream)
        elif now - self._last >= _EVERY_S:
            click.echo(text, file=self._stream)
        else:
            return
        self._shown, self._last = text, now

    def close(self) -> None:
        """Wipe the line: what follows is the result."""
        if self._live and self._shown:
            click.echo("\r\x1b[K", nl=False, file=self._stream)
        self._shown = ""


def uploads_left(pending: Mapping[str, Any]) -> str:
    """Return "3 files, 12.0 MiB to upload" of a status's `pending`."""
    count = int(pending.get("items", 0))
    if not count:
        return "nothing to upload"
    text = f"{count} {'change' if count == 1 else 'changes'} to send"
    size = int(pending.get("bytes", 0))
    if size:
        text += f", {format_size(size)}"
    failed = int(pending.get("failed", 0))
    if failed:
        text += f"; {failed} did not go through yet"
    return text
