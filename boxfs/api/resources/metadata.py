"""`client.metadata`: instances of templates on files and folders (box-api.md section 17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boxfs.api import items, properties, wire
from boxfs.api.models import Item, Resource
from boxfs.api.resources.base import Group
from boxfs.base.errors import FsError
from boxfs.base.types import ItemId, Kind

Instance = Mapping[str, Any]


class Metadata(Group):
    """item_type: "file" or "folder".  The standing default is the free-form template global.properties."""

    def list(self, item_type: str, item_id: str) -> list[Instance]:
        return wire.entries(self._session.json("GET", f"/{item_type}s/{item_id}/metadata"))

    def get(self, item_type: str, item_id: str, *, scope: str = "global", template: str = "properties") -> Instance:
        """Raises NotFound where the item has no instance."""
        return items.get_metadata(self._session, item_type, item_id, scope, template)

    def create(
        self,
        item_type: str,
        item_id: str,
        values: Mapping[str, Any],
        *,
        scope: str = "global",
        template: str = "properties",
    ) -> Instance:
        """Raises InvalidArgument (409 tuple_already_exists) where there is one."""
        return items.create_metadata(self._session, item_type, item_id, scope, template, values)

    def update(
        self,
        item_type: str,
        item_id: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        scope: str = "global",
        template: str = "properties",
    ) -> Instance:
        """Apply a JSON patch ({"op", "path": "/key", "value"}), all of it or nothing."""
        patch = [dict(each) for each in operations]
        return items.patch_metadata(self._session, item_type, item_id, scope, template, patch)

    def set(
        self,
        item_type: str,
        item_id: str,
        values: Mapping[str, Any],
        *,
        scope: str = "global",
        template: str = "properties",
    ) -> Instance:
        """Create the instance, or set these keys of the one there is; other keys stay."""
        try:
            return self.create(item_type, item_id, values, scope=scope, template=template)
        except FsError as error:
            if error.status != 409:
                raise
        patch = [{"op": "add", "path": properties.pointer(key), "value": value} for key, value in values.items()]
        return self.update(item_type, item_id, patch, scope=scope, template=template)

    def change_properties(self, item_type: str, item_id: str, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Set (None: remove) keys of global.properties, whether there is an instance or not."""
        return properties.change(self._session, Kind(item_type), ItemId(item_id), changes, None)

    def query(self, body: Mapping[str, Any]) -> Iterator[Item]:
        """Yield the items that a metadata query finds.  body: "from", "query", "query_params" … as Box has it."""
        marker: str | None = None
        while True:
            asked = {**body, **({"marker": marker} if marker else {})}
            reply = self._session.json("POST", "/metadata_queries/execute_read", json=asked, repeatable=True)
            for each in wire.entries(reply):
                yield self._build(wire.obj(each.get("item")) or each, Item)
            after = wire.text(reply.get("next_marker"))
            if after is None or after == marker:
                return
            marker = after

    def templates(self, scope: str = "enterprise") -> Iterator[Resource]:
        """Yield the templates of the enterprise, or Box's own ("global")."""
        return self._by_marker(Resource, f"/metadata_templates/{scope}")

    def delete(self, item_type: str, item_id: str, *, scope: str = "global", template: str = "properties") -> None:
        items.delete_metadata(self._session, item_type, item_id, scope, template)
