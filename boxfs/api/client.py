"""BoxClient: Box for Python programs, typed.  docs/CLIENT.md shows each call at work.

    from boxfs.api import BoxClient, DeveloperToken

    with BoxClient(DeveloperToken()) as client:
        for item in client.folders.items("0"):
            print(item.type, item.name)

Methods raise the errors of `boxfs.base.errors`, with Box's code and request id in them.  All may be called by many
threads at once.
"""

from __future__ import annotations

import json as jsonlib
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from boxfs.api import grants, models
from boxfs.api.auth import AsUser, Auth, DeveloperToken, WithHeaders
from boxfs.api.http import Response
from boxfs.api.models import Resource
from boxfs.api.registry import Registry
from boxfs.api.resources.base import Endpoints
from boxfs.api.resources.events import Events
from boxfs.api.resources.files import Files
from boxfs.api.resources.finding import Search, SharedLinks, Zips, header
from boxfs.api.resources.folders import Collections, FolderLocks, Folders, Trash, WebLinks
from boxfs.api.resources.metadata import Metadata
from boxfs.api.resources.people import Collaborations, Comments, Groups, Users
from boxfs.api.session import Params, Session
from boxfs.api.tokens import Tokens


class BoxClient:
    """auth: any of the ways in.  options: as of `Session` (api_url, timeouts, log, …)."""

    def __init__(
        self,
        auth: Auth | None = None,
        *,
        session: Session | None = None,
        registry: Registry | None = None,
        **options: Any,
    ) -> None:
        if session is None:
            if auth is None:
                raise TypeError("BoxClient needs auth or a session")
            session = Session(auth, **options)
        self.session = session
        self.registry = registry or Registry()
        made = (session, self.registry)
        self.files = Files(*made, models.File)
        self.folders = Folders(*made, models.Folder)
        self.web_links = WebLinks(*made, models.WebLink)
        self.trash = Trash(*made)
        self.users = Users(*made)
        self.groups = Groups(*made)
        self.collaborations = Collaborations(*made)
        self.comments = Comments(*made)
        self.metadata = Metadata(*made)
        self.collections = Collections(*made, "/collections", models.Collection)
        self.folder_locks = FolderLocks(*made)
        self.search = Search(*made)
        self.shared_links = SharedLinks(*made)
        self.zips = Zips(*made)
        self.events = Events(*made)
        self.webhooks = Endpoints(*made, "/webhooks", models.Webhook)
        self.tasks = Endpoints(*made, "/tasks", models.Task)
        self.task_assignments = self.endpoints("task_assignments")

    @classmethod
    def developer(cls, token: str | None = None, *, logger: logging.Logger | None = None, **options: Any) -> BoxClient:
        """Return a client for trying things: asks for a developer token at the prompt, and for a new one when it ends;
        logs requests and replies, secrets masked, to `logger` (boxfs.api by default)."""
        return cls(DeveloperToken(token), log=logger or logging.getLogger("boxfs.api"), **options)

    def register(self, type_name: str, cls: type[Resource]) -> None:
        """Let results of that type ("folder") come as `cls`, a subclass of the usual one."""
        self.registry.register(type_name, cls)

    def endpoints(self, path: str, cls: type[Resource] = Resource) -> Endpoints[Any]:
        """Return the usual five methods for a part of Box that has no methods of its own here:
        `client.endpoints("retention_policies").list()`."""
        return Endpoints(self.session, self.registry, path, cls)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        headers: Mapping[str, str | None] | None = None,
        upload: bool = False,
    ) -> Any:
        """Ask anything: return the reply's JSON (None where it has no body).

        path: below /2.0 at the API, or with `upload` at the upload host; or a whole URL.
        """
        response = self.session.request(method, path, params=params, json=json, headers=headers, upload=upload)
        content = response.read()
        return jsonlib.loads(content) if content.strip() else None

    def request_raw(self, method: str, path: str, **options: Any) -> Response:
        """Ask anything: return the reply itself, to be read and closed.  Options as of `Session.request`."""
        return self.session.request(method, path, **options)

    def as_user(self, user_id: str) -> BoxClient:
        """Return a client that acts as one of the enterprise's users.  Closing it leaves this one open."""
        return self._with(AsUser(self.session.auth, user_id))

    def with_shared_link(self, url: str, password: str | None = None) -> BoxClient:
        """Return a client to which what a shared link opens is open."""
        return self._with(WithHeaders(self.session.auth, {"BoxApi": header(url, password)}))

    def with_auth(self, auth: Auth) -> BoxClient:
        """Return a client for another login at the same server, over the same connections."""
        return self._with(auth)

    def downscoped(
        self,
        scopes: Sequence[str],
        *,
        item: tuple[str, str] | None = None,
        shared_link: str | None = None,
    ) -> Tokens:
        """Return a weaker token, to be given to somebody else: only these scopes, perhaps only on one item.

        item: (type, id).  The token is that of this client's own login, also where it acts as another user.
        """
        resource = f"{self.session.api_url}/{item[0]}s/{item[1]}" if item is not None else None
        token = self.session.auth.token(self.session.anonymous)
        form = grants.exchange(token, scopes, resource=resource, shared_link=shared_link)
        response = self.session.anonymous.send(grants.request(self.session.oauth_url, "token", form))
        return grants.tokens(response, self.session.now_s())

    def close(self) -> None:
        """Cancel what is under way."""
        self.session.close()

    def __enter__(self) -> BoxClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _with(self, auth: Auth) -> BoxClient:
        return BoxClient(session=self.session.with_auth(auth), registry=self.registry)
