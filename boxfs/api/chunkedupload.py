"""ChunkedUpload: one upload session from the first part to the commit, with several parts on their way at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from boxfs.api import chunked
from boxfs.api.content import Slice, sha1_of
from boxfs.api.http import Body
from boxfs.api.session import Session
from boxfs.api.wire import Json
from boxfs.base.types import Etag, Part, UploadSession

PARALLEL = 4


class ChunkedUpload:
    """`run` sends what Box does not have yet, and commits; after a failure `run` again goes on where it was."""

    def __init__(
        self, session: Session, upload: UploadSession, body: Body, *, parallel: int = PARALLEL, begun: bool = False
    ) -> None:
        """begun: Box may hold parts already (an upload of another process is resumed)."""
        self.upload = upload
        self._session = session
        self._body = body
        self._parallel = parallel
        self._begun = begun

    def run(
        self, sha1: str | None = None, attributes: Mapping[str, Any] | None = None, *, etag: Etag | None = None
    ) -> Json:
        """Return the file as Box sends it.  sha1: of the whole, reckoned where it is not given."""
        there = {part.offset: part for part in chunked.list_parts(self._session, self.upload)} if self._begun else {}
        self._begun = True
        offsets = range(0, self._body.size, self.upload.part_size)
        with ThreadPoolExecutor(self._parallel, "boxfs-part") as pool:
            parts = list(pool.map(lambda offset: there.get(offset) or self._send(offset), offsets))
        whole = sha1 or sha1_of(self._body)
        return chunked.commit(self._session, self.upload, parts, sha1=whole, attributes=attributes or {}, etag=etag)

    def abort(self) -> None:
        chunked.abort(self._session, self.upload)

    def _send(self, offset: int) -> Part:
        piece = Slice(self._body, offset, min(self.upload.part_size, self._body.size - offset))
        return chunked.upload_part(
            self._session, self.upload, piece, offset=offset, sha1=sha1_of(piece), total_size=self._body.size
        )
