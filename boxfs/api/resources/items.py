"""What files, folders and web links have in common: look, change, move, copy, trash, share, tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from boxfs.api import items
from boxfs.api.models import Collaboration, Item, SharedLink
from boxfs.api.registry import Registry
from boxfs.api.resources.base import Group, given, written_time
from boxfs.api.session import Session, fields
from boxfs.base.errors import BadReply
from boxfs.base.types import Kind

I = TypeVar("I", bound=Item)  # noqa: E741
Fields = Sequence[str] | str | None


class Items(Group, Generic[I]):
    """kind: of Box's items; the class of the results is the registry's for it."""

    kind: ClassVar[Kind]

    def __init__(self, session: Session, registry: Registry, cls: type[I]) -> None:
        super().__init__(session, registry)
        self._cls = cls

    def get(self, item_id: str, *, fields: Fields = None) -> I:
        """fields: only these (and type, id, etag); None: Box's standard ones.  Raises NotFound.

        A trashed file or web link is still given, with item_status "trashed" (box-api.md section 9).
        """
        return self._build(items.get(self._session, self.kind, item_id, fields=_fields(fields)), self._cls)

    def update(self, item_id: str, *, etag: str | None = None, fields: Fields = None, **changes: Any) -> I:
        """Change members, as Box names them.  etag: only if the item still has it (Changed), but for moves."""
        reply = items.update(self._session, self.kind, item_id, changes, etag=etag, fields=_fields(fields))
        return self._build(reply, self._cls)

    def rename(self, item_id: str, name: str, *, etag: str | None = None) -> I:
        """Raises NameTaken, InvalidName, NameTooLong."""
        return self.update(item_id, etag=etag, name=name)

    def move(self, item_id: str, parent_id: str, *, name: str | None = None) -> I:
        """Move, and perhaps rename, in one call.  Nothing is ever replaced: raises NameTaken."""
        return self.update(item_id, parent={"id": parent_id}, **given(name=name))

    def copy(self, item_id: str, parent_id: str, *, name: str | None = None, version_id: str | None = None) -> I:
        reply = items.copy(self._session, self.kind, item_id, parent_id, name=name, version_id=version_id)
        return self._build(reply, self._cls)

    def delete(self, item_id: str, *, etag: str | None = None, recursive: bool = False) -> None:
        """To the trash.  recursive: of a folder that is not empty (NotEmpty otherwise)."""
        items.delete(self._session, self.kind, item_id, etag=etag, recursive=recursive)

    def restore(self, item_id: str, *, name: str | None = None, parent_id: str | None = None) -> I:
        """Take it out of the trash.  Raises NotFound where it is not there, NameTaken."""
        return self._build(items.restore(self._session, self.kind, item_id, name=name, parent_id=parent_id), self._cls)

    def get_trashed(self, item_id: str, *, fields: Fields = None) -> I:
        path = f"{items.path(self.kind, item_id)}/trash"
        return self._one(self._cls, "GET", path, params={"fields": _fields(fields)})

    def delete_permanently(self, item_id: str) -> None:
        """Purge it from the trash.  Nothing brings it back."""
        self._no_content("DELETE", f"{items.path(self.kind, item_id)}/trash")

    def create_shared_link(
        self,
        item_id: str,
        *,
        access: str | None = None,
        password: str | None = None,
        unshared_at: datetime | None = None,
        vanity_name: str | None = None,
        can_download: bool | None = None,
        can_preview: bool | None = None,
        can_edit: bool | None = None,
    ) -> SharedLink:
        """Make the item's shared link, or change it.  access: open, company, collaborators; None: the default."""
        permissions = given(can_download=can_download, can_preview=can_preview, can_edit=can_edit)
        link = given(
            access=access,
            password=password,
            unshared_at=written_time(unshared_at),
            vanity_name=vanity_name,
            permissions=permissions or None,
        )
        made = self.update(item_id, fields="shared_link", shared_link=link).shared_link
        if made is None:
            raise BadReply("Box made no shared link")
        return made

    def get_shared_link(self, item_id: str) -> SharedLink | None:
        return self.get(item_id, fields="shared_link").shared_link

    def remove_shared_link(self, item_id: str) -> None:
        self.update(item_id, fields="shared_link", shared_link=None)

    def collaborations(self, item_id: str) -> Iterator[Collaboration]:
        return self._by_marker(Collaboration, f"{items.path(self.kind, item_id)}/collaborations")

    def set_tags(self, item_id: str, tags: Sequence[str]) -> I:
        return self.update(item_id, fields="tags,name", tags=list(tags))

    def add_to_collection(self, item_id: str, collection_id: str) -> I:
        """Collections of an item are written as a whole, so they are read first: two calls."""
        now = self._collections(item_id)
        return self.update(
            item_id, fields="collections,name", collections=[{"id": each} for each in {*now, collection_id}]
        )

    def remove_from_collection(self, item_id: str, collection_id: str) -> I:
        now = self._collections(item_id)
        return self.update(
            item_id, fields="collections,name", collections=[{"id": each} for each in now - {collection_id}]
        )

    def get_watermark(self, item_id: str) -> Mapping[str, Any]:
        """Raises NotFound where there is none."""
        return self._session.json("GET", f"{items.path(self.kind, item_id)}/watermark")

    def apply_watermark(self, item_id: str) -> Mapping[str, Any]:
        body = {"watermark": {"imprint": "default"}}
        return self._session.json("PUT", f"{items.path(self.kind, item_id)}/watermark", json=body)

    def remove_watermark(self, item_id: str) -> None:
        self._no_content("DELETE", f"{items.path(self.kind, item_id)}/watermark")

    def _collections(self, item_id: str) -> set[str]:
        found = self.get(item_id, fields="collections").raw.get("collections")
        return {str(each["id"]) for each in found if isinstance(each, dict)} if isinstance(found, list) else set()


def _fields(names: Fields) -> str | None:
    return fields(names)
