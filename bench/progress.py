"""What a run has done so far, so that one that was cut short can be gone on with (`--resume`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


class Progress:
    """The names of rows that are done, in a file that is gone once all are."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self.done: list[str] = json.loads(path.read_text()) if resume and path.exists() else []

    def left(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self.done]

    def add(self, name: str) -> None:
        self.done.append(name)
        self._path.write_text(json.dumps(self.done))

    def end(self) -> None:
        self._path.unlink(missing_ok=True)
