"""`client.search`, `client.shared_links`, `client.zips`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from boxfs.api import errors, wire
from boxfs.api.content import Content, as_stream
from boxfs.api.http import Cost, Request
from boxfs.api.models import Item, ZipDownload, ZipStatus
from boxfs.api.resources.base import Group, given, written_time
from boxfs.base.errors import BadReply, Unreachable

SEARCH_PAGE = 200


class Search(Group):
    """Box's index lags by ten minutes and more: never decide by it whether something exists."""

    def __call__(
        self,
        query: str | None = None,
        *,
        type: str | None = None,
        scope: str | None = None,
        ancestor_folder_ids: Sequence[str] = (),
        file_extensions: Sequence[str] = (),
        content_types: Sequence[str] = (),
        owner_user_ids: Sequence[str] = (),
        created_at_range: tuple[datetime | None, datetime | None] | None = None,
        updated_at_range: tuple[datetime | None, datetime | None] | None = None,
        size_range: tuple[int | None, int | None] | None = None,
        trash_content: str | None = None,
        mdfilters: str | None = None,
        sort: str | None = None,
        direction: str | None = None,
        fields: str | None = None,
    ) -> Iterator[Item]:
        """Yield what matches, best first.  mdfilters: JSON.  Needs a query or mdfilters."""
        lists = {
            "ancestor_folder_ids": ancestor_folder_ids,
            "file_extensions": file_extensions,
            "content_types": content_types,
            "owner_user_ids": owner_user_ids,
        }
        params = given(
            query=query,
            type=type,
            scope=scope,
            created_at_range=_times(created_at_range),
            updated_at_range=_times(updated_at_range),
            size_range=None
            if size_range is None
            else ",".join("" if each is None else str(each) for each in size_range),
            trash_content=trash_content,
            mdfilters=mdfilters,
            sort=sort,
            direction=direction,
            fields=fields,
            **{name: ",".join(values) for name, values in lists.items() if values},
        )
        return self._by_offset(Item, "/search", limit=SEARCH_PAGE, params=params)


def _times(period: tuple[datetime | None, datetime | None] | None) -> str | None:
    return None if period is None else ",".join(written_time(each) or "" for each in period)


class SharedLinks(Group):
    """Links that somebody else made; one's own are made on `client.files`, `client.folders`, `client.web_links`."""

    def open(self, url: str, *, password: str | None = None, fields: str | None = None) -> Item:
        """Return what a link leads to.  Raises NotFound, Denied (the password).

        To go on from there use `client.with_shared_link(url, password)`.
        """
        headers = {"BoxApi": header(url, password)}
        return self._one(Item, "GET", "/shared_items", params={"fields": fields}, headers=headers)


def header(url: str, password: str | None) -> str:
    """Return the value of the BoxApi header, which opens a shared link on the usual calls."""
    return f"shared_link={url}" + (f"&shared_link_password={password}" if password else "")


class Zips(Group):
    """Many files and folders in one download."""

    def create(self, name: str, items: Sequence[tuple[str, str]]) -> ZipDownload:
        """items: (type, id), as ("folder", "42").  The download must begin within seconds, and works once."""
        body = {"download_file_name": name, "items": [{"type": kind, "id": item_id} for kind, item_id in items]}
        return self._one(ZipDownload, "POST", "/zip_downloads", json=body)

    def download(self, zip_download: ZipDownload) -> BinaryIO:
        """Return the archive as a stream; it cannot be resumed, so an early end raises Unreachable."""
        if zip_download.download_url is None:
            raise BadReply("Box gave no address for the archive")
        request = Request(
            "GET", zip_download.download_url, authorize=False, secret_url=True, stream=True, cost=Cost.FREE
        )
        response = errors.check(self._session.send(request), "GET a zip")
        size = wire.integer(response.headers.get("content-length"))
        return as_stream(Content(response.chunks(), response.close, size=size))

    def status(self, zip_download: ZipDownload) -> ZipStatus:
        if zip_download.status_url is None:
            raise BadReply("Box gave no address for the state of the archive")
        return self._one(ZipStatus, "GET", zip_download.status_url)

    def download_to(self, name: str, items: Sequence[tuple[str, str]], target: Path | str) -> ZipStatus:
        """Make an archive and write it to a path; return Box's account of it.  Raises Unreachable where it failed."""
        made, path = self.create(name, items), Path(target)
        partial = path.with_name(path.name + ".part")
        with self.download(made) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        status = self.status(made)
        if status.state == "failed":
            partial.unlink()
            raise Unreachable("Box could not finish the archive")
        partial.replace(path)
        return status
