"""Scripted: a Transport that answers from a list and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from boxfs.api.auth import StaticToken
from boxfs.api.http import Request, Response
from boxfs.api.retry import Backoff
from boxfs.api.session import Session

Answer = Response | Exception | Callable[[Request], Response]


def reply(status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers, content)


class Scripted:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        if request.body is not None:
            with request.body.open() as stream:
                self.sent.append(stream.read() if request.body.size < 1 else _all(stream))
        if not self.answers:
            raise AssertionError(f"unexpected request: {request.what}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else answer(request)

    def close(self) -> None:
        self.closed = True


def _all(stream: Any) -> bytes:
    pieces = []
    while piece := stream.read(65536):
        pieces.append(piece)
    return b"".join(pieces)


def session(*answers: Answer, **options: Any) -> tuple[Session, Scripted]:
    """Return a session over a script, with waits of (nearly) no length where Box names none."""
    script = Scripted(*answers)
    options.setdefault("api_url", "http://box.test")
    options.setdefault("backoff", Backoff(attempts=3, first_s=0.0001, cap_s=0.001))
    return Session(options.pop("auth", StaticToken("TOKEN")), transport=script, **options), script
