"""One request: who asks, what for, and the items it names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from boxfs.emulator import errors
from boxfs.emulator.store import Item, Store, User

if TYPE_CHECKING:
    from boxfs.emulator.app import Emulator
    from boxfs.emulator.auth.tokens import Token
    from boxfs.emulator.settings import Settings


class Disconnected(Exception):
    """The client went away while its body was being read."""


class Context:
    """What a handler gets.  `user` and `token` are set for routes with auth; `body` for routes that are no streams."""

    user: User
    token: Token

    def __init__(self, app: Emulator, scope: Scope, receive: Receive, send: Send) -> None:
        self.app, self.scope, self.receive, self.send = app, scope, receive, send
        self.store: Store = app.store
        self.settings: Settings = app.settings
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = Headers(scope=scope)
        self.query = QueryParams(scope["query_string"])
        self.body = b""
        self.now = app.store.now()
        self.route = ""
        """Pattern of the route, for logs: "GET /2.0/files/{file_id:int}"."""
        self.close_connection = False
        """Set by a handler whose answer is the connection's last."""
        self._folders: dict[int, Item | None] = {}

    # The request

    @property
    def base(self) -> str:
        """http://HOST as the client called us."""
        return f"{self.scope['scheme']}://{self.headers.get('host', '127.0.0.1')}"

    @property
    def upload_base(self) -> str:
        """Base of upload URLs: the same host, or upload.box.com where we are called api.box.com."""
        return self.base.replace("://api.box.com", "://upload.box.com")

    def json(self) -> dict[str, Any]:
        """The JSON object of the body; {} where there is none.  Raises 400."""
        if not self.body:
            return {}
        found = self.json_any()
        if not isinstance(found, dict):
            raise errors.ApiError(400, "bad_request", "Bad Request")
        return found

    def json_any(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise errors.ApiError(400, "bad_request", "Could not decode JSON body") from None

    @property
    def fields(self) -> tuple[str, ...] | None:
        """What `?fields=` asks for; None: not given."""
        text = self.query.get("fields")
        if not text:
            return None
        return tuple(name.strip() for name in text.split(",") if name.strip())

    def number(self, name: str, default: int, maximum: int | None = None) -> int:
        """A query parameter that is a count; above `maximum` it is clamped.  Raises 400."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if not text.isdecimal() or len(text) > 18:
            if self.settings.generic_paging_error:
                raise errors.bad_request(name, f"Invalid value '{text}'.")
            raise errors.ApiError(400, f"invalid_{name}", f"Invalid value '{text}' for '{name}'")
        value = int(text)
        return value if maximum is None else min(value, maximum)

    async def read_body(self) -> bytes:
        chunks = [chunk async for chunk in self.stream()]
        return b"".join(chunks)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives.  Raises Disconnected."""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return

    # Items

    def folder_number(self, text: object) -> int:
        """Number inside of a folder id outside: "0" is the user's own root.  Raises 404 for what is no number."""
        if isinstance(text, int) and not isinstance(text, bool):
            text = str(text)
        if not isinstance(text, str) or not text.isdecimal() or len(text) > 18:
            raise errors.not_found("folder", str(text), "parent")
        number = int(text)
        return number if number else -self.user.id

    def rights(self, item: Item) -> frozenset[str]:
        return self.app.access.rights(self, item)

    def folder_row(self, number: int) -> Item | None:
        """A folder by number, remembered for this request (paths of listings)."""
        if number not in self._folders:
            self._folders[number] = self.store.by_pk(number * 4)
        return self._folders[number]

    def in_trash(self, item: Item) -> bool:
        """Whether an ancestor is in the trash (or gone)."""
        parent = item.parent
        while parent is not None:
            folder = self.folder_row(parent)
            if folder is None or folder.trashed_at is not None:
                return True
            parent = folder.parent
        return False

    def find(self, kind: str, number: int, *, trashed: bool = False, name: str | None = None) -> Item:
        """The item, if it is there for this user.

        trashed: give also an item that was itself trashed.  name: what the 404 calls it ("parent").
        Raises 404 not_found (none, or no access: the same), 404 trashed.
        """
        if kind == "folder" and number == 0:
            number = -self.user.id
        item = self.store.item(kind, number)
        if item is None or self.app.access.role(self, item) is None:
            if self.settings.missing_if_match_412 and "if-match" in self.headers and name is None:
                raise errors.precondition_failed()
            raise errors.not_found(kind, number, name)
        if item.trashed_at is not None:
            if trashed:
                return item
            if name:
                raise errors.not_found(kind, number, name)
            raise errors.trashed(self.settings.trashed_folder_code if kind == "folder" else "trashed")
        if self.in_trash(item):
            raise errors.not_found(kind, number, name) if name else errors.trashed(self.settings.trashed_inside_code)
        return item

    def parent_of(self, body: Mapping[str, Any], *, required: bool = True) -> Item | None:
        """The folder that `parent.id` of a body names, with the right to put something there."""
        parent = body.get("parent")
        if parent is None:
            if required:
                raise errors.missing("parent")
            return None
        if not isinstance(parent, dict) or "id" not in parent:
            raise errors.missing("parent.id" if isinstance(parent, dict) else "parent")
        folder = self.find("folder", self.folder_number(parent["id"]), name="parent")
        self.need(folder, "can_upload")
        return folder

    def need(self, item: Item, right: str) -> None:
        """Raises 403 if the request has not that right on the item, as a scope failure where the token is to blame."""
        if right not in self.rights(item):
            raise self.app.access.refusal(self, item, right)

    def check_etag(self, item: Item) -> None:
        """Raises 412 if the request has an if-match that is not the item's etag.  Quotes are optional."""
        wanted = self.headers.get("if-match")
        if wanted is not None and wanted.strip().strip('"') != str(item.etag):
            raise errors.precondition_failed()

    def unchanged(self, item: Item) -> bool:
        """Whether if-none-match holds the item's etag: the answer is 304."""
        known = self.headers.get("if-none-match")
        return known is not None and known.strip().strip('"') == str(item.etag)
