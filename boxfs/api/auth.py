"""Who asks: Auth gives tokens, Authorized puts them on requests and renews when Box says 401.

A 401 means that nothing was done, so the request is sent again whatever it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from getpass import getpass
from typing import Protocol

from boxfs.api.http import Request, Response, Transport
from boxfs.base.errors import Unauthorized
from boxfs.base.flight import SingleFlight

# A second one only where somebody else renewed in between, so that the token we were just given is dead already.
RENEWALS = 2


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
    """A token that something outside looks after; `read` gives the present one, cheaply: a file, a variable.

    After a 401 it is read again, and a token other than the refused one is taken.  FetchedToken is for what is costly.
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
        for _ in range(RENEWALS):
            response = self._inner.send(self._signed(request, token))
            if response.status != 401:
                return response
            response.read()
            other = self._auth.renewed(self._inner, token)
            if other is None:
                return response
            token = other
        return self._inner.send(self._signed(request, token))

    def close(self) -> None:
        self._inner.close()

    def _signed(self, request: Request, token: str) -> Request:
        headers = {**self._auth.headers(), **request.headers, "Authorization": f"Bearer {token}"}
        return replace(request, headers=headers)


class WithHeaders:
    """Another Auth, with headers that go along with each request."""

    def __init__(self, auth: Auth, headers: Mapping[str, str]) -> None:
        self._auth = auth
        self._headers = dict(headers)

    def token(self, transport: Transport) -> str:
        return self._auth.token(transport)

    def renewed(self, transport: Transport, refused: str) -> str | None:
        return self._auth.renewed(transport, refused)

    def headers(self) -> Mapping[str, str]:
        return {**self._auth.headers(), **self._headers}


class AsUser(WithHeaders):
    """Another Auth, acting as one of the enterprise's users (box-api.md section 2.4)."""

    def __init__(self, auth: Auth, user_id: str) -> None:
        super().__init__(auth, {"As-User": user_id})


class DeveloperToken:
    """A token made by hand in the console, for an hour of trying things: a new one is asked for when it ends.

    ask: gets the question, returns the token ("" gives up); by default at the terminal, where nothing of it is shown.
    """

    def __init__(self, token: str | None = None, *, ask: Callable[[str], str] | None = None) -> None:
        self._token = token
        self._ask = ask or (lambda question: getpass(question))
        self._flight: SingleFlight[str, str | None] = SingleFlight()

    def token(self, transport: Transport) -> str:  # noqa: ARG002
        token = self._token or self._flight.do("ask", partial(self._new, "Developer token: ", None))
        if token is None:
            raise Unauthorized("no developer token was given")
        return token

    def renewed(self, transport: Transport, refused: str) -> str | None:  # noqa: ARG002
        question = "Box does not take the developer token (any more). A new one: "
        return self._flight.do("ask", partial(self._new, question, refused))

    def headers(self) -> Mapping[str, str]:
        return {}

    def _new(self, question: str, refused: str | None) -> str | None:
        if self._token != refused:
            return self._token  # somebody else asked meanwhile
        self._token = self._ask(question).strip() or self._token
        return self._token if self._token != refused else None
