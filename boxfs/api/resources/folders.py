"""`client.folders`, `client.web_links`, `client.trash`, `client.folder_locks`, `client.collections`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from boxfs.api import items, listing, wire
from boxfs.api.models import Collection, Folder, FolderLock, Item, WebLink
from boxfs.api.resources.base import Endpoints, Group, given
from boxfs.api.resources.items import Fields, Items
from boxfs.api.session import fields as written_fields
from boxfs.base.types import Kind

# What one wants to know of an entry; Box's own default has neither size nor dates.
ENTRY_FIELDS = (
    "type,id,etag,sequence_id,name,size,sha1,file_version,description,parent,created_at,modified_at,content_created_at,"
    "content_modified_at,created_by,modified_by,owned_by,shared_link,item_status,trashed_at,permissions,tags,lock,url"
)


class Folders(Items[Folder]):
    """The root's id is "0"."""

    kind = Kind.FOLDER

    def create(self, parent_id: str, name: str, *, fields: Fields = None) -> Folder:
        """Raises NameTaken, whose `holder` is what has the name."""
        reply = items.create_folder(self._session, parent_id, name, fields=written_fields(fields))
        return self._build(reply, Folder)

    def items(self, folder_id: str, *, fields: Fields = ENTRY_FIELDS) -> Iterator[Item]:
        """Yield files, folders and web links, page after page (by marker)."""
        return self._by_marker(Item, f"/folders/{folder_id}/items", params={"fields": written_fields(fields)})

    def items_sorted(
        self, folder_id: str, *, sort: str, direction: str = "ASC", fields: Fields = ENTRY_FIELDS
    ) -> Iterator[Item]:
        """sort: id, name, date, size; always folders first, then files, then web links."""
        params = {"fields": written_fields(fields), "sort": sort, "direction": direction}
        return self._by_offset(Item, f"/folders/{folder_id}/items", params=params)

    def list(self, folder_id: str, *, fields: Fields = ENTRY_FIELDS) -> list[Item]:
        """Return all entries at once: pages in parallel, listed again where the folder changed meanwhile."""
        path, names = f"/folders/{folder_id}/items", written_fields(fields) or ENTRY_FIELDS
        return listing.whole_folder(self._session, path, lambda entry: self._build(entry, Item), fields=names)


class WebLinks(Items[WebLink]):
    """Bookmarks."""

    kind = Kind.WEB_LINK

    def create(self, parent_id: str, url: str, *, name: str | None = None, description: str | None = None) -> WebLink:
        body = {"url": url, "parent": {"id": parent_id}, **given(name=name, description=description)}
        return self._one(WebLink, "POST", "/web_links", json=body)


class Trash(Group):
    """What was trashed directly; what lies in a trashed folder is not listed."""

    def items(self, *, fields: Fields = ENTRY_FIELDS) -> Iterator[Item]:
        return self._by_marker(Item, "/folders/trash/items", params={"fields": written_fields(fields)})


class FolderLocks(Group):
    """Locks against moving and deleting a folder, for its owners."""

    def create(self, folder_id: str) -> FolderLock:
        body = {
            "folder": {"type": "folder", "id": folder_id},
            "locked_operations": {"move": True, "delete": True},
        }
        return self._one(FolderLock, "POST", "/folder_locks", json=body)

    def list(self, folder_id: str) -> Iterator[FolderLock]:
        return self._by_marker(FolderLock, "/folder_locks", params={"folder_id": folder_id})

    def delete(self, lock_id: str) -> None:
        self._no_content("DELETE", f"/folder_locks/{lock_id}")


class Collections(Endpoints[Collection]):
    """Favourites are the one collection that everybody has."""

    def items(self, collection_id: str, *, fields: Fields = ENTRY_FIELDS) -> Iterator[Item]:
        path = f"/collections/{collection_id}/items"
        return self._by_offset(Item, path, limit=100, params={"fields": written_fields(fields)})

    def favorites(self) -> Collection:
        return next(each for each in self.list() if each.collection_type == "favorites")

    def recent_items(self) -> Iterator[Item]:
        """Yield what the user touched in the last 90 days."""
        reply: Any = self._session.json("GET", "/recent_items")
        for entry in wire.entries(reply):
            found = wire.obj(entry.get("item")) or entry
            yield self._build(found, Item)
