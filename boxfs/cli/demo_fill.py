"""Fills the demo's Box on its first start, over HTTP as any client would."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable
from pathlib import Path

from boxfs.api.drive import BoxDrive
from boxfs.api.http import Bytes
from boxfs.base.errors import NameTaken
from boxfs.base.types import ROOT_FOLDER, ItemId
from boxfs.cli.demo_content import BIG_FILE, BIG_FILE_BYTES, big_file, small_files


def fill(box: BoxDrive, done: Path, say: Callable[[str], None]) -> None:
    """Create the sample content unless `done` exists, which is written at the end.

    What is there already (an earlier start that was interrupted) is left as it is.
    """
    if done.exists():
        return
    say("filling it with samples (once) …")
    folders = {"": ROOT_FOLDER}
    for path, data in small_files():
        folder, name = posixpath.split(path)
        try:
            box.upload_file(
                _folder(box, folders, folder), name, Bytes(data), sha1=_sha1(data).hexdigest(), mtime_ns=None
            )
        except NameTaken:
            continue
    _upload_big(box, folders)
    done.write_text("")


def _folder(box: BoxDrive, folders: dict[str, ItemId], path: str) -> ItemId:
    if path not in folders:
        above, name = posixpath.split(path)
        parent = _folder(box, folders, above)
        try:
            folders[path] = box.create_folder(parent, name).id
        except NameTaken as taken:
            if taken.holder is None:
                raise
            folders[path] = taken.holder.id
    return folders[path]


def _upload_big(box: BoxDrive, folders: dict[str, ItemId]) -> None:
    folder, name = posixpath.split(BIG_FILE)
    try:
        session = box.create_session(parent_id=_folder(box, folders, folder), name=name, size=BIG_FILE_BYTES)
    except NameTaken:
        return
    whole = _sha1()
    parts = []
    waiting = b""
    blocks = big_file()
    for number in range(session.total_parts):
        offset = number * session.part_size
        size = min(session.part_size, BIG_FILE_BYTES - offset)
        while len(waiting) < size:
            waiting += next(blocks)
        part, waiting = waiting[:size], waiting[size:]
        whole.update(part)
        parts.append(
            box.upload_part(
                session, Bytes(part), offset=offset, sha1=_sha1(part).hexdigest(), total_size=BIG_FILE_BYTES
            )
        )
    box.commit_session(session, parts, sha1=whole.hexdigest(), mtime_ns=None)


def _sha1(data: bytes = b"") -> hashlib._Hash:
    return hashlib.sha1(data, usedforsecurity=False)
