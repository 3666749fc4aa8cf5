"""No token goes out whose account Box has not named, where it may be another's than what is here is of."""

from __future__ import annotations

import json
import threading

import pytest

from boxfs.api.auth import Authorized, ChangingToken
from boxfs.api.http import NotSent, Request, Response
from boxfs.api.proven import Proven
from boxfs.base.errors import OtherAccount, Unauthorized, Unreachable
from boxfs.base.types import Account

ME = "https://box.test/2.0/users/me"
WORK = Request("GET", "https://box.test/2.0/folders/0/items")
OWNERS = {"a1": "ada", "a2": "ada", "b1": "bob", "b2": "bob"}


class BoxOfTwo:
    """Knows whose a token is; notes what came, and with which token."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str]] = []
        self.is_away = False
        self.refuses: set[str] = set()

    def send(self, request: Request) -> Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if self.is_away:
            raise NotSent("away")
        self.came.append((request.url.rpartition("/")[2], token))
        if token in self.refuses:
            return Response(401, {}, b"{}")
        if request.url != ME:
            return Response(200)
        owner = OWNERS[token]
        return Response(200, {}, json.dumps({"id": owner, "login": f"{owner}@box.test"}).encode())

    def close(self) -> None: ...


class Scene:
    def __init__(self, token: str) -> None:
        self.held = token
        self.box = BoxOfTwo()
        self.told: list[str] = []
        self.proofs = 0
        self.auth = Proven(ChangingToken(lambda: self.held), "https://box.test", self.refusal, self.on_proven)
        self.way = Authorized(self.box, self.auth)

    def refusal(self, account: Account) -> str:
        self.told.append(account.login)
        return f"it is {account.login}'s"

    def on_proven(self) -> None:
        self.proofs += 1


def test_until_the_account_is_known_every_token_goes_out() -> None:
    scene = Scene("a1")
    scene.way.send(WORK)
    scene.held = "b1"
    scene.way.send(WORK)
    assert scene.box.came == [("items", "a1"), ("items", "b1")]


def test_the_token_of_a_start_that_is_proven_is_asked_for_nothing() -> None:
    scene = Scene("a1")
    scene.auth.belongs_to("ada", proven=True)
    for _ in range(2):
        scene.way.send(WORK)
    assert scene.box.came == [("items", "a1")] * 2


def test_the_token_that_was_held_when_the_account_became_known_is_trusted() -> None:
    scene = Scene("a1")
    scene.way.send(WORK)
    scene.auth.belongs_to("ada", proven=True)
    scene.way.send(WORK)
    assert scene.box.came == [("items", "a1")] * 2
    scene.held = "b1"
    with pytest.raises(OtherAccount):
        scene.way.send(WORK)


def test_a_start_without_box_asks_once_before_anything_else() -> None:
    scene = Scene("a2")
    scene.auth.belongs_to("ada", proven=False)
    scene.box.is_away = True
    with pytest.raises(Unreachable):
        scene.way.send(WORK)
    scene.box.is_away = False
    for _ in range(2):
        scene.way.send(WORK)
    assert scene.box.came == [("me", "a2"), ("items", "a2"), ("items", "a2")]
    assert scene.proofs == 1


def test_nothing_goes_out_with_the_token_of_another_account_which_is_asked_once() -> None:
    scene = Scene("b1")
    scene.auth.belongs_to("ada", proven=False)
    for _ in range(3):
        with pytest.raises(OtherAccount, match=r"it is bob@box\.test's"):
            scene.way.send(WORK)
    assert scene.box.came == [("me", "b1")]
    assert scene.told == ["bob@box.test"]
    scene.held = "a1"  # the right one has come
    scene.way.send(WORK)
    assert scene.box.came[1:] == [("me", "a1"), ("items", "a1")]


def test_a_token_that_changes_is_asked_for_its_account() -> None:
    scene = Scene("a1")
    scene.auth.belongs_to("ada", proven=True)
    scene.way.send(WORK)
    scene.held = "b1"
    with pytest.raises(OtherAccount):
        scene.way.send(WORK)
    scene.held = "a2"
    scene.way.send(WORK)
    assert [came for came in scene.box.came if came[0] == "items"] == [("items", "a1"), ("items", "a2")]


def test_a_token_that_comes_after_a_refusal_is_asked_for_its_account() -> None:
    scene = Scene("a1")
    scene.auth.belongs_to("ada", proven=True)
    scene.way.send(WORK)
    scene.box.refuses = {"a1"}
    send = scene.box.send

    def changes(request: Request) -> Response:
        response = send(request)
        scene.held = "b1"
        return response

    scene.box.send = changes  # type: ignore[method-assign]
    with pytest.raises(OtherAccount):
        scene.way.send(WORK)
    assert scene.box.came == [("items", "a1"), ("items", "a1"), ("me", "b1")]


def test_a_token_that_box_refuses_proves_nothing() -> None:
    scene = Scene("b1")
    scene.auth.belongs_to("ada", proven=False)
    scene.box.refuses = {"b1"}
    with pytest.raises(Unauthorized) as caught:
        scene.way.send(WORK)
    assert not isinstance(caught.value, OtherAccount)
    assert scene.box.came == [("me", "b1")]


def test_many_threads_ask_once() -> None:
    scene = Scene("a2")
    scene.auth.belongs_to("ada", proven=False)
    gate, send = threading.Event(), scene.box.send

    def slow(request: Request) -> Response:
        if request.url == ME:
            assert gate.wait(60)
        return send(request)

    scene.box.send = slow  # type: ignore[method-assign]
    threads = [threading.Thread(target=scene.way.send, args=(WORK,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(60)
    assert scene.box.came.count(("items", "a2")) == 8
    assert scene.box.came.count(("me", "a2")) == 1
