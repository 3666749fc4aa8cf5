"""Every way in, against the emulator's real token endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from boxfs.api import (
    BoxClient,
    ClientCredentials,
    FetchedToken,
    FileStore,
    Jwt,
    JwtConfig,
    MemoryStore,
    OAuth2,
    Session,
    StaticToken,
    TokenStore,
)
from boxfs.base.errors import Denied, FsError, InvalidArgument, Unauthorized
from tests.client.conftest import QUICK
from tests.support.box import Box, EmulatorProcess


def oauth(box: Box, console: dict[str, Any], store: TokenStore, **options: Any) -> OAuth2:
    app = console["boxAppSettings"]
    return OAuth2(app["clientID"], app["clientSecret"], store=store, api_url=box.url, **options)


@contextmanager
def session_for(auth: Any, box: Box) -> Iterator[Session]:
    session = Session(auth, api_url=box.url, backoff=QUICK)
    yield session
    session.close()


def consent(url: str, user_id: str, answer: str = "grant") -> str:
    """Do what a person does on the consent page; return where the browser is sent."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    page = url.partition("?")[0]
    reply = requests.post(
        page, data={**query, "user_id": user_id, "consent": answer}, allow_redirects=False, timeout=30
    )
    return reply.headers["Location"]


def log_in(box: Box, console: dict[str, Any], store: TokenStore, **options: Any) -> OAuth2:
    auth = oauth(box, console, store, **options)
    url, state = auth.start("http://127.0.0.1:9/")
    with session_for(auth, box) as session:
        auth.finish_redirect(session.anonymous, consent(url, box.me()["id"]), state)
    return auth


def test_oauth_from_the_consent_page_to_the_logout(box: Box, console: dict[str, Any], tmp_path: Path) -> None:
    store, told = FileStore(tmp_path / "tokens.json"), list[str]()
    auth = log_in(box, console, store, on_tokens=lambda tokens: told.append(tokens.access))
    with BoxClient(auth, api_url=box.url) as client:
        assert client.users.me().id == box.me()["id"]
    stored = store.load()
    assert stored is not None
    assert told == [stored.access]
    again = oauth(box, console, store)  # another program, the same file
    with session_for(again, box) as session:
        assert session.json("GET", "/users/me")["id"] == box.me()["id"]
        again.revoke(session.anonymous)
    assert store.load() is None
    with BoxClient(StaticToken(stored.access), api_url=box.url) as client, pytest.raises(Unauthorized):
        client.users.me()


def test_refused_consent_says_so(box: Box, console: dict[str, Any]) -> None:
    auth = oauth(box, console, MemoryStore())
    url, state = auth.start("http://127.0.0.1:9/")
    with session_for(auth, box) as session, pytest.raises(Unauthorized, match="denied"):
        auth.finish_redirect(session.anonymous, consent(url, box.me()["id"], "deny"), state)


def test_tokens_are_renewed_ahead_and_on_401(box: Box, console: dict[str, Any]) -> None:
    store = MemoryStore()
    auth = log_in(box, console, store)
    first = store.load()
    with BoxClient(auth, api_url=box.url, backoff=QUICK) as client:
        box.fault(do="status", status=401, path="/2.0/users/me", times=1)
        assert client.users.me().id
        second = store.load()
        assert first is not None
        assert second is not None
        assert first.refresh != second.refresh
        box.fault(do="status", status=401, path="/2.0/users/me", times=3)
        with pytest.raises(Unauthorized, match="log in"):
            client.users.me()


def test_an_upload_whose_token_ended_is_sent_again_whole(box: Box, console: dict[str, Any]) -> None:
    auth = log_in(box, console, MemoryStore())
    with BoxClient(auth, api_url=box.url, backoff=QUICK) as client:
        box.fault(do="status", status=401, path="/files/content", times=1)
        client.files.upload("0", "a", b"x" * 300_000)
    assert box.read("/a") == b"x" * 300_000


def test_jwt_for_the_enterprise_and_for_a_user(box: Box, console: dict[str, Any], emulator: EmulatorProcess) -> None:
    config = JwtConfig.from_file(emulator.data / "box_config.json")
    with BoxClient(Jwt(config, api_url=box.url), api_url=box.url) as service:
        assert (service.users.me().login or "").startswith("AutomationUser_")
        user = service.users.create_app_user("App Ada")
        with BoxClient(Jwt(config, user_id=user.id, api_url=box.url), api_url=box.url) as hers:
            assert hers.users.me().id == user.id
        assert service.as_user(user.id).users.me().id == user.id


def test_jwt_with_a_clock_that_is_an_hour_off(box: Box, emulator: EmulatorProcess) -> None:
    import time

    config = JwtConfig.from_file(emulator.data / "box_config.json")
    for offset_s in (-3600, 3600):
        auth = Jwt(config, api_url=box.url, clock=lambda offset_s=offset_s: time.time() + offset_s)
        with BoxClient(auth, api_url=box.url) as service:
            assert service.users.me().id


def test_jwt_with_the_wrong_key_is_refused_clearly(box: Box, emulator: EmulatorProcess) -> None:
    from dataclasses import replace

    config = replace(JwtConfig.from_file(emulator.data / "box_config.json"), key_id="another")
    with BoxClient(Jwt(config, api_url=box.url), api_url=box.url) as service, pytest.raises(Unauthorized):
        service.users.me()


def test_client_credentials(box: Box, console: dict[str, Any]) -> None:
    app = console["boxAppSettings"]
    known = (app["clientID"], app["clientSecret"])
    auth = ClientCredentials(*known, "enterprise", console["enterpriseID"], api_url=box.url)
    with BoxClient(auth, api_url=box.url) as service:
        user = service.users.create_app_user("App Ada")
        as_ada = ClientCredentials(*known, "user", user.id, api_url=box.url)
        with BoxClient(as_ada, api_url=box.url) as hers:
            assert hers.users.me().id == user.id
    wrong = ClientCredentials(app["clientID"], "nonsense", "enterprise", "1", api_url=box.url)
    with BoxClient(wrong, api_url=box.url) as client, pytest.raises(Unauthorized, match="client secret"):
        client.users.me()


def test_downscoped_tokens_do_less(box: Box, console: dict[str, Any]) -> None:
    auth = log_in(box, console, MemoryStore())
    with BoxClient(auth, api_url=box.url) as client:
        file = client.files.upload("0", "a", b"1")
        other = client.files.upload("0", "b", b"1")
        weak = client.downscoped(["item_preview", "item_rename"], item=("file", file.id))
        assert weak.restricted_to
        with BoxClient(StaticToken(weak.access), api_url=box.url) as guest:
            assert guest.files.rename(file.id, "renamed").name == "renamed"
            with pytest.raises(Denied):
                guest.files.delete(file.id)
            with pytest.raises(FsError):
                guest.files.rename(other.id, "no")


def test_tokens_that_a_callback_fetches(box: Box, console: dict[str, Any]) -> None:
    app = console["boxAppSettings"]
    asked: list[str | None] = []

    def fetch(refused: str | None) -> str:
        """Stands for a call to the application's own server, where the secret is."""
        asked.append(refused)
        form = {
            "grant_type": "client_credentials",
            "client_id": app["clientID"],
            "client_secret": app["clientSecret"],
            "box_subject_type": "enterprise",
            "box_subject_id": console["enterpriseID"],
        }
        reply = requests.post(f"{box.url}/oauth2/token", data=form, timeout=30)
        return str(reply.json()["access_token"])

    with BoxClient(FetchedToken(fetch), api_url=box.url) as client:
        box.fault(do="status", status=401, path="/2.0/users/me", skip=1, times=1)
        for _ in range(3):
            assert client.users.me().id
    assert len(asked) == 2
    assert asked[0] is None


def test_jwt_from_parts(console: dict[str, Any], box: Box) -> None:
    app = console["boxAppSettings"]
    config = JwtConfig(
        client_id=app["clientID"],
        client_secret=app["clientSecret"],
        key_id=app["appAuth"]["publicKeyID"],
        private_key=app["appAuth"]["privateKey"],
        passphrase=app["appAuth"]["passphrase"],
        enterprise_id=console["enterpriseID"],
    )
    with BoxClient(Jwt(config, api_url=box.url, algorithm="RS256"), api_url=box.url) as service:
        assert service.users.me().id
    with pytest.raises(InvalidArgument):
        Jwt(JwtConfig("i", "s", "k", "no key"), user_id="1")
