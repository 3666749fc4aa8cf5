"""What all groups of endpoints share: the session, the registry, lists as iterators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from boxfs.api import listing, wire
from boxfs.api.models import Resource
from boxfs.api.registry import R, Registry
from boxfs.api.session import Params, Session

T = TypeVar("T", bound=Resource)
PAGE = 1000


class Group:
    """Base of a group of endpoints."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session = session
        self._registry = registry

    def _build(self, reply: Mapping[str, Any], cls: type[R]) -> R:
        return self._registry.build(reply, cls)

    def _one(self, cls: type[R], method: str, path: str, **options: Any) -> R:
        return self._build(self._session.json(method, path, **options), cls)

    def _no_content(self, method: str, path: str, **options: Any) -> None:
        self._session.request(method, path, **options).close()

    def _by_offset(self, cls: type[R], path: str, *, limit: int = PAGE, params: Params | None = None) -> Iterator[R]:
        return self._registry.each(listing.by_offset(self._session, path, limit=limit, params=params), cls)

    def _by_marker(self, cls: type[R], path: str, *, limit: int = PAGE, params: Params | None = None) -> Iterator[R]:
        return self._registry.each(listing.by_marker(self._session, path, limit=limit, params=params), cls)


class Endpoints(Group, Generic[T]):
    """A collection with the usual five methods, for the parts of Box that need no more: `client.webhooks`,
    `client.tasks`, `client.endpoints("retention_policies")` …

    path: "/webhooks".  Lists come by marker; those that Box gives in one page are one page.
    """

    def __init__(self, session: Session, registry: Registry, path: str, cls: type[T]) -> None:
        super().__init__(session, registry)
        self.path = "/" + path.strip("/")
        self._cls = cls

    def list(self, **params: str | int | bool | None) -> Iterator[T]:
        """Yield all, page after page.  params: query parameters, as Box names them."""
        marker: str | None = None
        while True:
            reply = self._session.json("GET", self.path, params={**params, "marker": marker})
            yield from self._registry.each(wire.entries(reply), self._cls)
            after = wire.text(reply.get("next_marker"))
            if after is None or after == marker:
                return
            marker = after

    def get(self, item_id: str, **params: str | int | bool | None) -> T:
        return self._one(self._cls, "GET", f"{self.path}/{item_id}", params=params)

    def create(self, body: Mapping[str, Any], **params: str | int | bool | None) -> T:
        """body: JSON, as Box's reference describes it."""
        return self._one(self._cls, "POST", self.path, json=dict(body), params=params)

    def update(self, item_id: str, body: Mapping[str, Any], **params: str | int | bool | None) -> T:
        return self._one(self._cls, "PUT", f"{self.path}/{item_id}", json=dict(body), params=params)

    def delete(self, item_id: str, **params: str | int | bool | None) -> None:
        self._no_content("DELETE", f"{self.path}/{item_id}", params=params)


def written_time(when: datetime | None) -> str | None:
    """Return a time as Box takes it.  A naive one is meant as UTC."""
    if when is None:
        return None
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def given(**members: Any) -> dict[str, Any]:
    """Return what is not None."""
    return {name: value for name, value in members.items() if value is not None}
