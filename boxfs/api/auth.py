"""Who asks: Auth gives tokens, Authorized puts them on requests and renews once when Box says 401.

A 401 means that nothing was done, so the request is sent again whatever it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from boxfs.api.http import Request, Response, Transport


class Auth(Protocol):
    """Tokens for requests.  Called by many threads at once; one renewal at a time, whoever asks."""

    def token(self, transport: Transport) -> str:
        """Return a token that should be valid, asking Box (by `transport`, without a token) where none is held.

        Raises Unauthorized: somebody must log in; Unreachable.
        """

    def renewed(self, transport: Transport, refused: str) -> str | None:
        """Return a token other than `refused`, which Box did not take; None where there is no other.

        Raises like `token`.
        """

    def headers(self) -> Mapping[str, str]:
        """Return what goes along with each request: As-User."""


class StaticToken:
    """A ready access token: a developer token, a downscoped one, or one that somebody else looks after."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, transport: Transport) -> str:  # noqa: ARG002
        return self._token

    def renewed(self, transport: Transport, refused: str) -> str | None:  # noqa: ARG002
        return None

    def headers(self) -> Mapping[str, str]:
        return {}


class ChangingToken:
    """A token that something outside looks after; `read` gives the present one (a file, a function, a server's reply).

    After a 401 it is read again, and a token other than the refused one is taken.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def token(self, transport: Transport) -> str:  # noqa: ARG002
        return self._read()

    def renewed(self, transport: Transport, refused: str) -> str | None:  # noqa: ARG002
        now = self._read()
        return now if now != refused else None

    def headers(self) -> Mapping[str, str]:
        return {}


class Authorized:
    """Transport that adds the bearer token where the request wants it."""

    def __init__(self, inner: Transport, auth: Auth) -> None:
        self._inner = inner
        self._auth = auth

    def send(self, request: Request) -> Response:
        if not request.authorize:
            return self._inner.send(request)
        token = self._auth.token(self._inner)
        response = self._inner.send(self._signed(request, token))
        if response.status != 401:
            return response
        response.read()
        other = self._auth.renewed(self._inner, token)
        return response if other is None else self._inner.send(self._signed(request, other))

    def close(self) -> None:
        self._inner.close()

    def _signed(self, request: Request, token: str) -> Request:
        headers = {**self._auth.headers(), **request.headers, "Authorization": f"Bearer {token}"}
        return replace(request, headers=headers)
