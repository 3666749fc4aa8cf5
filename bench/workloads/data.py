"""Files for the workloads.  Contents differ from file to file: what Box holds twice, a mount may fetch once."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.support.box import Box

MIB = 1 << 20


def content(size: int, seed: int) -> bytes:
    """Bytes that are the same in every run and in no two files."""
    return random.Random(seed).randbytes(size)


def fill(box: Box, files: int, folders: int, size: int, under: str = "/data") -> None:
    """`files` files of `size` bytes, dealt out to `folders` folders (0: into `under` itself)."""
    top = box.makedirs(under)
    into = [box.makedirs(f"{under}/d{n:03d}") for n in range(folders)] or [top]
    for n in range(files):
        attributes = {"name": f"f{n:05d}.txt", "parent": {"id": into[n % len(into)]}}
        form = [("attributes", (None, json.dumps(attributes))), ("file", ("unused", content(size, n)))]
        box.call("POST", "/api/2.0/files/content", files=form)


def spread(box: Box, folders: int, files: int, size: int = 1) -> None:
    """Many entries at once, whose contents do not matter."""
    box.bulk(folders=folders, files=files, size=size, under="/data")


def tree(folder: Path, files: int, folders: int, size: int) -> None:
    """The same on the local disk."""
    for n in range(files):
        path = folder / f"d{n % folders:03d}" / f"f{n:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(size, n))
