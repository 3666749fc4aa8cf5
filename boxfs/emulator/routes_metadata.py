"""Metadata of files and folders, `global.properties` above all (box-api.md section 17).

`global.properties` takes any key with a string value.  Templates of the enterprise exist as soon as somebody uses them:
their fields are not declared, so values of any JSON type are taken there.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Handler, Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import PREFIXES
from boxfs.emulator.store import Item

routes = Routes()
SCHEMA = """
CREATE TABLE IF NOT EXISTS metadata (
    pk INTEGER NOT NULL, scope TEXT NOT NULL, template TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,             -- $version: how often it was changed
    data TEXT NOT NULL,                   -- JSON object of what the user put there
    PRIMARY KEY (pk, scope, template)
) WITHOUT ROWID;
"""
MAX_INSTANCES = 100
_PLURAL = {"files": "file", "folders": "folder"}


def _each(method: str, rest: str) -> Callable[[Handler], Handler]:
    """One route for files and one for folders."""

    def add(handler: Handler) -> Handler:
        for plural, kind in _PLURAL.items():

            def call(ctx: Context, item_id: int, kind: str = kind, **values: str) -> Any:
                if kind == "folder" and item_id == 0:
                    raise ApiError(403, "forbidden", "Metadata is not available on the root folder")
                return handler(ctx, ctx.find(kind, item_id), **values)

            routes(method, f"/2.0/{plural}/{{item_id:int}}/metadata{rest}")(call)
        return handler

    return add


@_each("GET", "")
def listed(ctx: Context, item: Item) -> dict[str, Any]:
    rows = ctx.store.db.execute("SELECT scope, template FROM metadata WHERE pk=? ORDER BY 1, 2", (item.pk,)).fetchall()
    entries = [_instance(ctx, item, scope, template) for scope, template in rows]
    return {"entries": entries, "limit": MAX_INSTANCES}


@_each("GET", "/{scope}/{template}")
def one(ctx: Context, item: Item, scope: str, template: str) -> dict[str, Any]:
    found = _instance(ctx, item, scope, template)
    if found is None:
        raise _no_instance(item)
    return found


@_each("POST", "/{scope}/{template}")
def create(ctx: Context, item: Item, scope: str, template: str) -> tuple[int, dict[str, Any]]:
    ctx.need(item, "can_upload")
    data = ctx.json_any() if ctx.body else {}
    _check(data, scope, template)
    db = ctx.store.db
    if _instance(ctx, item, scope, template) is not None:
        raise ApiError(409, "tuple_already_exists", "Tuple already exists")
    if db.execute("SELECT COUNT(*) FROM metadata WHERE pk=?", (item.pk,)).fetchone()[0] >= MAX_INSTANCES:
        raise errors.bad_request("metadata", "The item has 100 instances")
    db.execute(
        "INSERT INTO metadata VALUES (?,?,?,?,0,?)",
        (item.pk, scope, template, str(uuid.uuid4()), json.dumps(data)),
    )
    found = _instance(ctx, item, scope, template)
    assert found is not None
    return 201, found


@_each("PUT", "/{scope}/{template}")
def patch(ctx: Context, item: Item, scope: str, template: str) -> dict[str, Any]:
    ctx.need(item, "can_upload")
    kind = ctx.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json-patch+json":
        raise ApiError(415, "unsupported_media_type", "Content-Type must be application/json-patch+json")
    row = ctx.store.db.execute(
        "SELECT data FROM metadata WHERE pk=? AND scope=? AND template=?", (item.pk, scope, template)
    ).fetchone()
    if row is None:
        raise _no_instance(item)
    data = apply_patch(json.loads(row[0]), ctx.json_any())
    _check(data, scope, template)
    ctx.store.db.execute(
        "UPDATE metadata SET data=?, version=version+1 WHERE pk=? AND scope=? AND template=?",
        (json.dumps(data), item.pk, scope, template),
    )
    found = _instance(ctx, item, scope, template)
    assert found is not None
    return found


@_each("DELETE", "/{scope}/{template}")
def delete(ctx: Context, item: Item, scope: str, template: str) -> None:
    ctx.need(item, "can_upload")
    gone = ctx.store.db.execute(
        "DELETE FROM metadata WHERE pk=? AND scope=? AND template=?", (item.pk, scope, template)
    )
    if not gone.rowcount:
        raise _no_instance(item)


def _no_instance(item: Item) -> ApiError:
    message = f"Instance not found for object {item.kind}_{item.id}"
    return ApiError(404, "instance_not_found", message)


def _check(data: Any, scope: str, template: str) -> None:
    """Raises 400 for what an instance cannot hold."""
    if not isinstance(data, dict):
        raise ApiError(400, "bad_request", "Bad Request")
    bad = [key for key in data if key.startswith("$")]
    if scope == "global" and template == "properties":
        bad += [key for key, value in data.items() if not isinstance(value, str)]
    if bad:
        raise ApiError(400, "schema_validation_failed", f"Schema validation failed: {', '.join(map(repr, bad[:5]))}")


def _instance(ctx: Context, item: Item, scope: str, template: str) -> dict[str, Any] | None:
    row = ctx.store.db.execute(
        "SELECT id, version, data FROM metadata WHERE pk=? AND scope=? AND template=?",
        (item.pk, scope, template),
    ).fetchone()
    if row is None:
        return None
    number, version, data = row
    return {
        "$id": number,
        "$type": f"{template}-{uuid.uuid5(uuid.NAMESPACE_URL, f'{scope}/{template}')}",
        "$parent": f"{item.kind}_{item.id}",
        "$version": version,
        "$typeVersion": 2,
        "$template": template,
        "$scope": scope,
        "$canEdit": "can_upload" in ctx.rights(item),
        **json.loads(data),
    }


def in_listing(ctx: Context, item: Item, names: Sequence[str]) -> Any:
    """`metadata` of an entry for which `metadata.<scope>.<template>` was asked; null where there is no instance."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        scope, _, template = name.removeprefix("metadata.").partition(".")
        instance = None if item.kind == "web_link" or item.is_root else _instance(ctx, item, scope, template)
        if instance is not None:
            found.setdefault(scope, {})[template] = instance
    if not found and ctx.settings.missing_metadata == "empty":
        return {names[0].split(".")[1]: {}}
    return found or None


PREFIXES["metadata"] = in_listing


# JSON patch (RFC 6902) on an object of one level or more: all or nothing


class _BadPatch(Exception):
    pass


def apply_patch(data: dict[str, Any], operations: Any) -> dict[str, Any]:
    """A patched copy.  Raises 400 bad_request; then nothing has changed."""
    if not isinstance(operations, list) or not operations:
        raise ApiError(400, "bad_request", "A JSON patch is a list of operations")
    document = copy.deepcopy(data)
    try:
        for operation in operations:
            document = _apply(document, operation)
    except (_BadPatch, TypeError, KeyError) as e:
        raise ApiError(400, "bad_request", f"Bad patch: {e}") from None
    return document


def _apply(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    op, path = operation["op"], operation["path"]
    where, key = _locate(document, path)
    if op == "test":
        if _get(where, key) != operation["value"]:
            raise _BadPatch(f"test of {path} failed")
    elif op == "add":
        _put(where, key, operation["value"])
    elif op == "replace":
        _get(where, key)
        where[key] = operation["value"]
    elif op == "remove":
        _get(where, key)
        del where[key]
    elif op in ("move", "copy"):
        source, source_key = _locate(document, operation["from"])
        value = copy.deepcopy(_get(source, source_key))
        if op == "move":
            del source[source_key]
        where, key = _locate(document, path)
        _put(where, key, value)
    else:
        raise _BadPatch(f"unknown operation {op!r}")
    return document


def _locate(document: Any, path: str) -> tuple[Any, Any]:
    """(container, key) of a JSON pointer."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise _BadPatch(f"{path!r} is no path")
    *steps, last = [word.replace("~1", "/").replace("~0", "~") for word in path[1:].split("/")]
    if last.startswith("$") or (steps and steps[0].startswith("$")):
        raise _BadPatch(f"{path} cannot be changed")
    for step in steps:
        document = _get(document, _key(document, step))
    if not isinstance(document, dict | list):
        raise _BadPatch(f"{path} leads nowhere")
    return document, _key(document, last)


def _key(container: Any, word: str) -> Any:
    if isinstance(container, list):
        if word == "-":
            return len(container)
        if not word.isdecimal():
            raise _BadPatch(f"{word!r} is no index")
        return int(word)
    return word


def _get(container: Any, key: Any) -> Any:
    try:
        return container[key]
    except (KeyError, IndexError, TypeError):
        raise _BadPatch(f"there is no {key}") from None


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, list):
        if key > len(container):
            raise _BadPatch(f"there is no {key}")
        container.insert(key, value)
    else:
        container[key] = value
