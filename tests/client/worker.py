"""A process of its own that shares a login with others.  Told what to do by lines on its standard input.

First line: JSON {"url", "id", "secret", "file" or "redis"}.  Then:
    ask          one call; answers "ok" or "error MESSAGE"
    renew        renews as if Box had refused the token; answers "ok" or "error MESSAGE"
    kill MS      forks a child that renews without end, kills it (-9) after so many milliseconds; answers "ok"
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from boxfs.api import FileStore, OAuth2, RedisStore, Session, TokenStore
from boxfs.base.errors import FsError


def session_of(told: dict[str, Any]) -> Session:
    store: TokenStore = FileStore(told["file"]) if "file" in told else RedisStore(told["redis"])
    auth = OAuth2(told["id"], told["secret"], store=store, api_url=told["url"])
    return Session(auth, api_url=told["url"])


def ask(session: Session) -> str:
    try:
        return "ok" if session.json("GET", "/users/me")["id"] else "error nobody"
    except FsError as error:
        return f"error {type(error).__name__} {error}"


def renew(session: Session) -> str:
    try:
        session.auth.renewed(session.anonymous, session.auth.token(session.anonymous))
    except FsError as error:
        return f"error {type(error).__name__} {error}"
    return "ok"


def kill_while_renewing(told: dict[str, Any], milliseconds: float) -> str:
    child = os.fork()
    if not child:
        session = session_of(told)
        while renew(session) == "ok":
            pass
        os._exit(0)
    time.sleep(milliseconds / 1000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "ok"


def main() -> None:
    told = json.loads(sys.stdin.readline())
    session = session_of(told)
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "ask":
            answer = ask(session)
        elif word == "renew":
            answer = renew(session)
        else:
            answer = kill_while_renewing(told, float(argument))
        print(answer, flush=True)
    session.close()


main()
