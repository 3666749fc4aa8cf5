"""Chunked uploads (box-api.md section 12): large files in parts, in parallel, going on after a crash where they were.

The journal (core/attempts.py) holds the session and each part that Box acknowledged.  A session belongs to bytes, by
their sha1: when the file has changed, a new one is opened and the old one is given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from boxfs.base.errors import BadReply, FsError, InvalidArgument, NameTaken, NotFound
from boxfs.base.types import Etag, Ino, Item, Part, UploadSession
from boxfs.core import attempts
from boxfs.core.attempts import Target
from boxfs.core.bodies import GivenUp, Outgoing, RangeBody, sha1_of
from boxfs.core.remote import Remote
from boxfs.core.tree import Tree

log = logging.getLogger(__name__)

# Box takes sessions from 20,000,000 bytes on and direct uploads up to 50 MB (sections 11.2 and 12).
CHUNKED_FROM = 20_000_000
PARALLEL_PARTS = 4
RECOMMITS = 5  # parts_mismatch passes by itself (section 12)


class ChunkedUpload:
    """One file's upload.  `run` may be called again after any error, and goes on."""

    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        ino: Ino,
        source: Outgoing,
        sha1: str,
        target: Target,
        *,
        open_session: Callable[[int], UploadSession],
        stopped: Callable[[], bool],
        progress: Callable[[int], None],
        parallel: int = PARALLEL_PARTS,
    ) -> None:
        self._tree, self._remote, self._ino = tree, remote, ino
        self._source, self._sha1, self._target = source, sha1, target
        self._open_session = open_session
        self._stopped = stopped
        self._progress = progress
        self._parallel = parallel

    def run(self, *, mtime_ns: int, etag: Etag | None) -> Item:
        """Raises Changed (etag), GivenUp, NameTaken, NotFound, InDoubt, Unreachable …"""
        session, parts = self._begin()
        try:
            return self._finish(session, parts, mtime_ns, etag)
        except NotFound:
            if not self._is_gone(session):
                raise
            log.info("the upload session of inode %d has expired; it begins anew", self._ino)
        except NameTaken:
            if self.target == self._target:
                raise
            log.info("inode %d was renamed while it was sent, and its old name is taken; it begins anew", self._ino)
        session, parts = self._open()
        return self._finish(session, parts, mtime_ns, etag)

    @property
    def target(self) -> Target:
        """What the session was opened for: a file that was renamed meanwhile gets its new name afterwards."""
        return attempts.target(self._tree, self._ino) or self._target

    def _begin(self) -> tuple[UploadSession, dict[int, Part]]:
        held = attempts.session(self._tree, self._ino, self._sha1, self._target.kind)
        if held is None:
            return self._open()
        session, parts = held
        return session, {part.offset: part for part in parts}

    def _open(self) -> tuple[UploadSession, dict[int, Part]]:
        old = attempts.any_session(self._tree, self._ino)
        if old is not None:
            with suppress(FsError):  # it expires by itself
                self._remote.abort_session(old)
        session = self._open_session(self._source.size)
        attempts.begin(self._tree, self._ino, self._source.edit, self._sha1, session, self._target)
        return session, {}

    def _is_gone(self, session: UploadSession) -> bool:
        try:
            self._remote.list_parts(session)
        except NotFound:
            return True
        return False

    def _finish(self, session: UploadSession, parts: dict[int, Part], mtime_ns: int, etag: Etag | None) -> Item:
        self._send_missing(session, parts)
        for attempt in range(RECOMMITS):
            ordered = [parts[offset] for offset in sorted(parts)]
            try:
                return self._remote.commit_session(session, ordered, sha1=self._sha1, mtime_ns=mtime_ns, etag=etag)
            except (BadReply, InvalidArgument):
                if attempt == RECOMMITS - 1:
                    self._give_up(session)
                    raise
                there = {part.offset: part for part in self._remote.list_parts(session)}
                parts.clear()
                parts.update(there)
                self._send_missing(session, parts)
        raise AssertionError("unreachable")

    def _give_up(self, session: UploadSession) -> None:
        """Box will not make a file of these parts: the next attempt begins with a new session."""
        with suppress(FsError):
            self._remote.abort_session(session)
        with self._tree.change(frees=True) as change:
            attempts.end(change, self._ino)

    def _send_missing(self, session: UploadSession, parts: dict[int, Part]) -> None:
        missing = self._missing(session, parts)
        self._progress(sum(part.size for part in parts.values()))
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="boxfs-part") as pool:
            running: set[Future[Part]] = set()
            try:
                for offset in missing:
                    self._check()
                    running.add(pool.submit(self._send, session, offset))
                    if len(running) >= self._parallel:
                        running = self._collect(running, parts)
                while running:
                    running = self._collect(running, parts)
            finally:
                for future in running:
                    future.cancel()

    def _missing(self, session: UploadSession, parts: dict[int, Part]) -> Iterator[int]:
        return (offset for offset in range(0, self._source.size, session.part_size) if offset not in parts)

    def _collect(self, running: set[Future[Part]], parts: dict[int, Part]) -> set[Future[Part]]:
        done, rest = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            part = future.result()
            parts[part.offset] = part
        self._progress(sum(part.size for part in parts.values()))
        return rest

    def _send(self, session: UploadSession, offset: int) -> Part:
        self._check()
        size = min(session.part_size, self._source.size - offset)
        body = RangeBody(self._source, offset, size, self._given_up)
        sha1 = sha1_of(body)
        part = self._remote.upload_part(session, body, offset=offset, sha1=sha1, total_size=self._source.size)
        attempts.part_done(self._tree, self._ino, part)  # here, so that it is kept where another part has failed
        return part

    def _given_up(self) -> bool:
        return self._source.stale or self._stopped()

    def _check(self) -> None:
        if self._given_up():
            raise GivenUp("the upload was given up")
