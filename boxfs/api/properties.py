"""global.properties: a few string keys on an item, set and removed without a call more than needed.

Create-or-replace does not exist at Box (box-api.md section 17): POST where there is no instance, a JSON patch where
there is one.  What we believe may be out of date, so each refusal that says so is answered by looking, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxfs.api import items, wire
from boxfs.api.session import Session
from boxfs.base.errors import FsError, InvalidArgument, NotFound
from boxfs.base.types import Kind

SCOPE, TEMPLATE = "global", "properties"


def patch(changes: Mapping[str, str | None], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the JSON patch that makes the changes.  Pure.  `add` also replaces (RFC 6902)."""
    operations: list[dict[str, Any]] = []
    for key, value in sorted(changes.items()):
        where = pointer(key)
        if value is None:
            if key in known:
                operations.append({"op": "remove", "path": where})
        elif known.get(key) != value:
            operations.append({"op": "add", "path": where, "value": value})
    return operations


def pointer(key: str) -> str:
    """Return the path of a key in a patch (RFC 6901)."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def change(
    session: Session,
    kind: Kind,
    item_id: str,
    changes: Mapping[str, str | None],
    known: Mapping[str, str] | None,
) -> dict[str, str]:
    """Set (None: remove) keys and return the instance as it is now.  known: what we hold it to be, None: no idea."""
    if known is None:
        # Most items have no instance: a POST that is refused (409) costs no more than looking first.
        sets = any(value is not None for value in changes.values())
        known = {} if sets else look(session, kind, item_id)
    for _ in range(3):
        try:
            return _change(session, kind, item_id, changes, known)
        except FsError as error:
            if not _was_out_of_date(error):
                raise
            last = error
        known = look(session, kind, item_id)
    raise last


def _change(
    session: Session, kind: Kind, item_id: str, changes: Mapping[str, str | None], known: Mapping[str, str]
) -> dict[str, str]:
    if not known:
        values = {key: value for key, value in changes.items() if value is not None}
        if not values:
            return {}
        return wire.properties(items.create_metadata(session, kind, item_id, SCOPE, TEMPLATE, values))
    operations = patch(changes, known)
    if not operations:
        return dict(known)
    # A repetition of a patch that was done meets 400 (nothing to remove) or changes nothing.
    return wire.properties(items.patch_metadata(session, kind, item_id, SCOPE, TEMPLATE, operations, repeatable=True))


def _was_out_of_date(error: FsError) -> bool:
    return error.status == 409 or isinstance(error, InvalidArgument) or error.code == "instance_not_found"


def look(session: Session, kind: Kind, item_id: str) -> dict[str, str]:
    """Return the instance, {} where there is none.  Raises NotFound where there is no such item."""
    try:
        return wire.properties(items.get_metadata(session, kind, item_id, SCOPE, TEMPLATE))
    except NotFound as error:
        if error.code in ("instance_not_found", "instance_tuple_not_found"):
            return {}
        # A 404 of another wording may mean either; the item itself tells.
        items.get(session, kind, item_id, fields="id")
        return {}
