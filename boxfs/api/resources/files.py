"""`client.files`: contents up and down, versions, locks, thumbnails and representations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from boxfs.api import chunked, errors, items, wire
from boxfs.api.chunkedupload import ChunkedUpload
from boxfs.api.content import Content, Source, as_stream, body_of, sha1_of
from boxfs.api.download import UrlDownload
from boxfs.api.models import File, FileVersion, Lock, Representation, Task
from boxfs.api.resources.base import given, written_time
from boxfs.api.resources.items import Items
from boxfs.base.errors import BadReply, NotFound, NotReady
from boxfs.base.types import Etag, Kind

# Box means direct uploads for at most 50 MB.
CHUNKED_FROM_BYTES = 50_000_000
RENDER_PATIENCE_S = 120.0


class Files(Items[File]):
    kind = Kind.FILE

    # Up

    def upload(
        self,
        parent_id: str,
        name: str,
        content: Source,
        *,
        modified_at: datetime | None = None,
        created_at: datetime | None = None,
        description: str | None = None,
    ) -> File:
        """Upload a new file and return it; large ones in parts.  content: bytes, a path, or a binary stream.

        Raises NameTaken (a file is never replaced; `upload_version` does that), InDoubt, QuotaExceeded, TooBig,
        BadReply where Box stored other bytes than were sent.
        """
        times = {"content_modified_at": written_time(modified_at), "content_created_at": written_time(created_at)}
        extra = given(description=description, **times)
        with body_of(content) as body:
            sha1 = sha1_of(body)
            if body.size >= CHUNKED_FROM_BYTES:
                session = chunked.create(self._session, parent_id=parent_id, name=name, size=body.size)
                return self._build(ChunkedUpload(self._session, session, body).run(sha1, extra), File)
            attributes = {"name": name, "parent": {"id": parent_id}, **extra}
            return self._build(items.upload(self._session, attributes, body, sha1=sha1), File)

    def upload_version(
        self,
        file_id: str,
        content: Source,
        *,
        etag: str | None = None,
        name: str | None = None,
        modified_at: datetime | None = None,
    ) -> File:
        """Overwrite: upload a new version.  etag: only if the file still has it (Changed).  name: renames it too."""
        extra = given(content_modified_at=written_time(modified_at))
        with body_of(content) as body:
            sha1 = sha1_of(body)
            if body.size >= CHUNKED_FROM_BYTES:
                session = chunked.create_version(self._session, file_id, size=body.size, name=name)
                upload = ChunkedUpload(self._session, session, body)
                return self._build(upload.run(sha1, extra, etag=Etag(etag) if etag else None), File)
            attributes = {**given(name=name), **extra}
            reply = items.upload(self._session, attributes, body, file_id=file_id, sha1=sha1, etag=etag)
            return self._build(reply, File)

    def chunked_upload(self, parent_id: str, name: str, path: Path | str) -> ChunkedUpload:
        """Open an upload in parts of a file on this disk, to be run, resumed or given up by the caller."""
        with body_of(path) as body:
            session = chunked.create(self._session, parent_id=parent_id, name=name, size=body.size)
            return ChunkedUpload(self._session, session, body)

    def preflight(self, parent_id: str, name: str, size: int | None = None) -> str | None:
        """Ask whether an upload would be taken; return the URL that Box proposes for it.

        Raises what the upload would: NameTaken with the holder, QuotaExceeded, TooBig, InvalidName, NotFound.
        """
        body = {"name": name, "parent": {"id": parent_id}, **given(size=size)}
        return wire.text(self._session.json("OPTIONS", "/files/content", json=body).get("upload_url"))

    # Down

    def download(
        self, file: str | File, *, version_id: str | None = None, start: int = 0, stop: int | None = None
    ) -> BinaryIO:
        """Return the content as a binary stream; use it with `with`.

        file: an id, or a File of this client, which saves the call for its size and sha1.  version_id: a past version.
        start, stop: only these bytes.  What comes whole is checked by its sha1; what breaks off is fetched on.
        """
        return as_stream(self.download_raw(file, version_id=version_id, start=start, stop=stop))

    def download_raw(
        self, file: str | File, *, version_id: str | None = None, start: int = 0, stop: int | None = None
    ) -> Content:
        """Like `download`, unbuffered, with `pieces()`."""
        file_id = file if isinstance(file, str) else file.id
        size, sha1, pinned = self._expected(file, version_id)
        whole = start == 0 and (stop is None or stop >= size)
        end = size if stop is None else min(stop, size)
        source = UrlDownload(self._session, f"/files/{file_id}/content", version_id=pinned)
        pieces = source.read_range(start, end)
        return Content(
            pieces, getattr(pieces, "close", lambda: None), sha1=sha1 if whole else None, size=max(end - start, 0)
        )

    def download_to(self, file: str | File, target: Path | str | BinaryIO, *, version_id: str | None = None) -> None:
        """Write the content to a path or into a stream.  A path appears only when all of it is there and checked."""
        with self.download(file, version_id=version_id) as source:
            if not isinstance(target, Path | str):
                shutil.copyfileobj(source, target, 1 << 20)
                return
            path = Path(target)
            partial = path.with_name(path.name + ".part")
            with partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        partial.replace(path)

    def read(
        self, file: str | File, *, version_id: str | None = None, start: int = 0, stop: int | None = None
    ) -> bytes:
        with self.download_raw(file, version_id=version_id, start=start, stop=stop) as source:
            return source.readall()

    def _expected(self, file: str | File, version_id: str | None) -> tuple[int, str | None, str | None]:
        """Return size, sha1 and the id of the version, so that a change meanwhile cannot mix two of them."""
        file_id = file if isinstance(file, str) else file.id
        found: File | FileVersion
        try:
            if version_id is not None:
                found = self.get_version(file_id, version_id)
            elif isinstance(file, str) or file.size is None:
                found = self.get(file_id, fields="size,sha1,file_version")
            else:
                found = file
        except NotFound:
            # Box lists past versions only; the current one is the file itself.
            found = self.get(file_id, fields="size,sha1,file_version")
            if found.file_version is None or found.file_version.id != version_id:
                raise
        if found.size is None:
            raise BadReply("Box did not say how large the file is")
        if isinstance(found, File) and version_id is None and found.file_version is not None:
            version_id = found.file_version.id
        return found.size, found.sha1, version_id

    def download_url(self, file_id: str, *, version_id: str | None = None) -> str:
        """Return an address that gives the bytes to anybody for about 15 minutes: to be handed on, not to be kept."""
        source = UrlDownload(self._session, f"/files/{file_id}/content", version_id=version_id)
        return source.url()

    def embed_url(self, file_id: str) -> str | None:
        """Return an address of Box's viewer for this file, for an iframe."""
        found = self.get(file_id, fields="expiring_embed_link").raw.get("expiring_embed_link")
        return wire.text(wire.obj(found).get("url"))

    def tasks(self, file_id: str) -> Iterator[Task]:
        for each in wire.entries(self._session.json("GET", f"/files/{file_id}/tasks")):
            yield self._build(each, Task)

    # Versions

    def list_versions(self, file_id: str) -> Iterator[FileVersion]:
        """Yield past versions, newest first; the current one is not among them."""
        return self._by_offset(FileVersion, f"/files/{file_id}/versions")

    def get_version(self, file_id: str, version_id: str) -> FileVersion:
        return self._one(FileVersion, "GET", f"/files/{file_id}/versions/{version_id}")

    def promote_version(self, file_id: str, version_id: str) -> FileVersion:
        """Make a past version the current one: Box makes a copy of it, with its old name too."""
        body = {"type": "file_version", "id": version_id}
        return self._one(FileVersion, "POST", f"/files/{file_id}/versions/current", json=body)

    def delete_version(self, file_id: str, version_id: str) -> None:
        self._no_content("DELETE", f"/files/{file_id}/versions/{version_id}")

    def restore_version(self, file_id: str, version_id: str) -> FileVersion:
        """Take a deleted version back."""
        return self._one(FileVersion, "PUT", f"/files/{file_id}/versions/{version_id}", json={"trashed_at": None})

    # Locks

    def lock(
        self, file_id: str, *, expires_at: datetime | None = None, prevent_download: bool | None = None
    ) -> Lock | None:
        """Let only this user write (and with prevent_download, read)."""
        lock = {
            "type": "lock",
            "access": "lock",
            **given(expires_at=written_time(expires_at), is_download_prevented=prevent_download),
        }
        return self.update(file_id, fields="lock", lock=lock).lock

    def unlock(self, file_id: str) -> None:
        self.update(file_id, fields="lock", lock=None)

    # Pictures

    def thumbnail(
        self,
        file_id: str,
        *,
        extension: str = "png",
        min_height: int | None = None,
        min_width: int | None = None,
        max_height: int | None = None,
        max_width: int | None = None,
    ) -> bytes | None:
        """Return a small picture; None where Box can make none.  Waits while Box is making it (NotReady in the end)."""
        response = self._session.request(
            "GET",
            f"/files/{file_id}/thumbnail.{extension}",
            params=given(min_height=min_height, min_width=min_width, max_height=max_height, max_width=max_width),
            wait_on_202=True,
        )
        return response.read() if response.status == 200 else None

    def representations(self, file_id: str, hints: str | None = None) -> tuple[Representation, ...]:
        """hints: what to say more of, as "[pdf][jpg?dimensions=320x320]" (Box's X-Rep-Hints)."""
        reply = items.get(self._session, self.kind, file_id, fields="representations", headers={"X-Rep-Hints": hints})
        found = wire.entries(wire.obj(reply.get("representations")))
        return tuple(self._build(each, Representation) for each in found)

    def representation_content(self, representation: Representation, asset_path: str = "") -> bytes:
        """Return the bytes of a rendering, e.g. "1.png" of pages.  Has Box make it where it is not made yet, and waits.

        Raises NotReady in the end, BadReply where Box cannot make it.
        """
        representation = self._made(representation)
        template = wire.text(wire.obj(representation.content).get("url_template"))
        if template is None:
            raise BadReply("this representation has no content: ask for it by hints")
        url = template.replace("{+asset_path}", asset_path)
        response = self._session.request("GET", url, wait_on_202=True, stream=True)
        if response.status == 302:
            response.close()
            response = self._session.request("GET", response.headers["location"], authorize=False, stream=True)
        return errors.check(response, "a representation").read()

    def _made(self, representation: Representation) -> Representation:
        """Return the representation when it is made.  Asking for it (`info.url`) starts the making."""
        url = wire.text(wire.obj(representation.info).get("url"))
        pause_s, waited_s = 0.1, 0.0
        while representation.state not in ("success", "viewable"):
            if representation.state == "error" or url is None:
                raise BadReply("Box cannot make this representation")
            if waited_s > RENDER_PATIENCE_S:
                raise NotReady("Box is still making this representation")
            if waited_s:
                self._session.wait(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, 5.0)
            representation = self._one(Representation, "GET", url)
        return representation
