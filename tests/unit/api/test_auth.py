"""The ways in, by feeding replies to them: renewal, its order, and what a refusal says."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from boxfs.api.auth import AsUser, ChangingToken, DeveloperToken, StaticToken
from boxfs.api.fetched import FetchedToken
from boxfs.api.http import Request, Response
from boxfs.api.oauth import OAuth2
from boxfs.api.server_auth import AUDIENCE, ClientCredentials, Jwt, JwtConfig
from boxfs.api.tokenfile import FileStore
from boxfs.api.tokens import MemoryStore, Tokens
from boxfs.base.errors import InvalidArgument, Unauthorized, Unreachable
from tests.unit.api.scripted import Scripted, reply, session

URL = "http://box.test"
NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def pair(number: int, life_s: int = 3600) -> Response:
    body = {"access_token": f"A{number}", "refresh_token": f"R{number}", "expires_in": life_s, "token_type": "bearer"}
    return reply(200, body)


def held(number: int = 1, life_s: float = 3600) -> Tokens:
    return Tokens(f"A{number}", f"R{number}", NOW, NOW + life_s)


def oauth(store: Any = None, clock: Clock | None = None, **options: Any) -> OAuth2:
    return OAuth2("id", "SECRET", store=store or MemoryStore(held()), api_url=URL, clock=clock or Clock(), **options)


def form(script: Scripted, index: int = 0) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(script.sent[index].decode()).items()}


def refusal(error: str, description: str = "", date: str | None = None) -> Response:
    body = {"error": error, "error_description": description}
    return reply(400, body, {"Date": date} if date else None)


def test_a_fresh_token_is_used_without_a_call() -> None:
    assert oauth().token(Scripted()) == "A1"


def test_a_token_is_renewed_ahead_of_its_end_and_kept_before_it_is_used() -> None:
    clock, told = Clock(), list[str]()
    auth = oauth(clock=clock, on_tokens=lambda tokens: told.append(tokens.access))
    clock.now += 3541
    script = Scripted(pair(2))
    assert auth.token(script) == "A2"
    assert form(script) == {
        "grant_type": "refresh_token",
        "refresh_token": "R1",
        "client_id": "id",
        "client_secret": "SECRET",
    }
    stored = auth.store.load()
    assert stored is not None
    assert (stored.access, stored.refresh, told) == ("A2", "R2", ["A2"])


def test_a_short_life_is_no_reason_to_renew_at_every_call() -> None:
    clock = Clock()
    auth = oauth(MemoryStore(held(1, life_s=1)), clock)
    assert auth.token(Scripted()) == "A1"
    clock.now += 0.95
    assert auth.token(Scripted(pair(2, 1))) == "A2"


def test_a_401_renews_once_and_sends_the_request_again() -> None:
    box, script = session(reply(401), pair(2), reply(200, {"id": "7"}), auth=oauth())
    assert box.json("POST", "/folders", json={"name": "a"}) == {"id": "7"}
    assert [request.headers.get("Authorization") for request in script.asked] == ["Bearer A1", None, "Bearer A2"]
    assert script.sent[0] == script.sent[2]


def test_a_401_that_stays_is_an_error_and_no_loop() -> None:
    box, script = session(reply(401), pair(2), reply(401), pair(3), reply(401), auth=oauth())
    with pytest.raises(Unauthorized):
        box.json("GET", "/users/me")
    assert len(script.asked) == 5


def test_a_token_that_somebody_else_renewed_is_taken_from_the_store() -> None:
    store = MemoryStore(held(1))
    auth = oauth(store)
    assert auth.token(Scripted()) == "A1"
    store.save(held(2))
    assert auth.renewed(Scripted(), "A1") == "A2"


def test_threads_that_meet_a_401_together_renew_once() -> None:
    auth = oauth()
    gate = threading.Barrier(8)

    def slow(request: Request) -> Response:
        return pair(2)

    script = Scripted(slow)
    found: list[str | None] = []

    def work() -> None:
        gate.wait(30)
        found.append(auth.renewed(script, "A1"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == ["A2"] * 8
    assert len(script.asked) == 1


def test_a_dead_login_says_so_once_to_box_and_always_to_the_caller() -> None:
    clock = Clock()
    auth = oauth(clock=clock)
    clock.now += 4000
    script = Scripted(refusal("invalid_grant", "Invalid refresh token"))
    for _ in range(3):
        with pytest.raises(Unauthorized, match="log in again"):
            auth.token(script)
    assert len(script.asked) == 1
    auth.store.save(Tokens("A9", "R9", clock.now, clock.now + 3600))  # somebody logged in
    assert auth.token(script) == "A9"


def test_a_lost_way_to_box_is_not_a_dead_login() -> None:
    clock = Clock()
    auth = oauth(clock=clock)
    clock.now += 4000
    with pytest.raises(Unreachable):
        auth.token(Scripted(reply(503)))
    assert auth.token(Scripted(pair(2))) == "A2"


def test_consent_gives_a_url_and_its_answer_gives_tokens() -> None:
    auth = oauth(MemoryStore())
    url, state = auth.start("http://127.0.0.1:5000/", scopes=["root_readwrite"])
    query = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{URL}/api/oauth2/authorize?")
    assert (query["client_id"], query["state"], query["scope"]) == (["id"], [state], ["root_readwrite"])
    script = Scripted(pair(1))
    auth.finish_redirect(script, f"http://127.0.0.1:5000/?code=C&state={state}", state)
    assert form(script)["code"] == "C"
    assert auth.token(Scripted()) == "A1"
    with pytest.raises(Unauthorized, match="another login"):
        auth.finish_redirect(Scripted(), "http://127.0.0.1:5000/?code=C&state=forged", state)
    with pytest.raises(Unauthorized, match="consent"):
        auth.finish_redirect(Scripted(), f"http://x/?error=access_denied&state={state}", state)


def test_box_itself_is_asked_for_consent_on_its_own_page() -> None:
    assert OAuth2("id", "s").start()[0].startswith("https://account.box.com/api/oauth2/authorize?")


def test_logging_out_ends_the_tokens_at_box_and_here() -> None:
    auth = oauth()
    script = Scripted(reply(200))
    auth.revoke(script)
    assert form(script)["token"] == "R1"
    with pytest.raises(Unauthorized, match="log in"):
        auth.token(Scripted())


def test_client_credentials_ask_again_when_the_token_ends() -> None:
    clock = Clock()
    auth = ClientCredentials("id", "SECRET", "user", "7", api_url=URL, clock=clock)
    script = Scripted(reply(200, {"access_token": "A1", "expires_in": 3600}), reply(200, {"access_token": "A2"}))
    assert auth.token(script) == auth.token(script) == "A1"
    assert form(script)["box_subject_type"] == "user"
    clock.now += 3600
    assert auth.token(script) == "A2"


def test_a_refused_application_says_what_to_check_and_no_secret() -> None:
    auth = ClientCredentials("id", "SECRET", "enterprise", "1", api_url=URL)
    with pytest.raises(Unauthorized, match="client secret") as refused:
        auth.token(Scripted(refusal("invalid_client", "The client credentials are invalid")))
    assert "SECRET" not in str(refused.value)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def config(key: rsa.RSAPrivateKey, passphrase: str = "PASSPHRASE") -> dict[str, Any]:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    app = {"publicKeyID": "k1", "privateKey": pem.decode(), "passphrase": "PASSPHRASE"}
    return {"boxAppSettings": {"clientID": "id", "clientSecret": "SECRET", "appAuth": app}, "enterpriseID": "99"}


def claims(script: Scripted, key: rsa.RSAPrivateKey, index: int = 0) -> dict[str, Any]:
    assertion = form(script, index)["assertion"]
    assert jwt.get_unverified_header(assertion)["kid"] == "k1"
    options: Any = {"verify_exp": False}
    return dict(jwt.decode(assertion, key.public_key(), ["RS512"], audience=AUDIENCE, options=options))


def test_jwt_from_the_file_of_the_console(key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(key)))
    script = Scripted(reply(200, {"access_token": "A1", "expires_in": 3600}))
    assert Jwt(JwtConfig.from_file(path), api_url=URL, clock=Clock()).token(script) == "A1"
    said = claims(script, key)
    assert (said["iss"], said["sub"], said["box_sub_type"]) == ("id", "99", "enterprise")
    assert said["exp"] <= NOW + 60
    assert 16 <= len(said["jti"]) <= 128


def test_jwt_for_a_user(key: rsa.RSAPrivateKey) -> None:
    script = Scripted(reply(200, {"access_token": "A1"}))
    Jwt(JwtConfig.from_json(config(key)), user_id="7", api_url=URL).token(script)
    said = claims(script, key)
    assert (said["sub"], said["box_sub_type"]) == ("7", "user")


def test_jwt_takes_the_clock_of_the_server_and_a_fresh_jti(key: rsa.RSAPrivateKey) -> None:
    script = Scripted(
        refusal("invalid_grant", "Please check the 'exp' claim.", "Fri, 15 Jan 2027 09:00:00 GMT"),
        refusal("invalid_grant", "Please check the 'jti' claim."),
        reply(200, {"access_token": "A1"}),
    )
    assert Jwt(JwtConfig.from_json(config(key)), api_url=URL, clock=Clock()).token(script) == "A1"
    first, second, third = (claims(script, key, index) for index in range(3))
    assert second["exp"] - first["exp"] == 1_800_003_600 - NOW
    assert third["exp"] == second["exp"]
    assert len({first["jti"], second["jti"], third["jti"]}) == 3


@pytest.mark.parametrize(
    ("broken", "said"),
    [({}, "clientID"), ({"boxAppSettings": {"clientID": "i", "clientSecret": "s"}}, "privateKey"), ([], "clientID")],
)
def test_a_jwt_file_that_lacks_something_says_what(broken: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        JwtConfig.from_json(broken)


def test_a_wrong_passphrase_is_told_without_showing_it(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(InvalidArgument, match="passphrase") as error:
        Jwt(JwtConfig.from_json(config(key, "another")))
    assert "PASSPHRASE" not in str(error.value)


def test_acting_as_a_user_is_a_header() -> None:
    box, script = session(reply(200, {}), auth=AsUser(StaticToken("T"), "12"))
    box.json("GET", "/users/me")
    assert (script.asked[0].headers["As-User"], script.asked[0].headers["Authorization"]) == ("12", "Bearer T")


def test_a_developer_token_is_asked_for_and_asked_for_again() -> None:
    typed = iter(["D1", "D2", ""])
    auth = DeveloperToken(ask=lambda question: next(typed))
    box, script = session(reply(401), reply(200, {}), reply(401), auth=auth)
    box.json("GET", "/users/me")
    assert [request.headers["Authorization"] for request in script.asked] == ["Bearer D1", "Bearer D2"]
    with pytest.raises(Unauthorized):
        box.json("GET", "/users/me")


def test_a_changing_token_is_read_again() -> None:
    tokens = iter(["T1", "T2", "T2"])
    box, script = session(reply(401), reply(200, {}), auth=ChangingToken(lambda: next(tokens)))
    box.json("GET", "/users/me")
    assert [request.headers["Authorization"] for request in script.asked] == ["Bearer T1", "Bearer T2"]


def test_a_token_fetched_by_a_callback_is_kept_until_box_refuses_it() -> None:
    asked: list[str | None] = []

    def fetch(refused: str | None) -> str:
        asked.append(refused)
        return f"F{len(asked)}"

    box, _ = session(reply(200, {}), reply(401), reply(200, {}), auth=FetchedToken(fetch))
    box.json("GET", "/users/me")
    box.json("GET", "/users/me")
    assert asked == [None, "F1"]


def test_the_token_file_is_private_and_survives_what_is_broken(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "deep" / "tokens.json")
    assert store.load() is None
    with store.exclusive():
        store.save(held())
    assert store.load() == held()
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in store.path.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]
    store.path.write_text("{")
    assert store.load() is None
    store.clear()
    store.clear()


def test_a_held_token_file_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "tokens.json", patience_s=0.05)
    with store.exclusive(), pytest.raises(Unreachable, match="another process"), store.exclusive():
        pass


def test_tokens_do_not_show_themselves() -> None:
    assert "A1" not in repr(held())
    assert "R1" not in repr(held())
