"""Tokens: every grant, and how each goes wrong (traps 24 and 25)."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.box import Box, EmulatorProcess

AUDIENCE = "https://api.box.com/oauth2/token"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


class Application:
    """The emulator's registered application, seen from outside: nothing but its console configuration."""

    def __init__(self, box: Box) -> None:
        self.box = box
        told = box.call("GET", "/_emulator/application")
        self.config = told["config"]
        settings = self.config["boxAppSettings"]
        self.client = {"client_id": settings["clientID"], "client_secret": settings["clientSecret"]}
        self.enterprise: str = self.config["enterpriseID"]
        self.key_id: str = settings["appAuth"]["publicKeyID"]
        pem, passphrase = settings["appAuth"]["privateKey"], settings["appAuth"]["passphrase"]
        key = load_pem_private_key(pem.encode(), passphrase.encode())
        assert isinstance(key, rsa.RSAPrivateKey)
        self.key = key
        self.redirect = "http://127.0.0.1:8765/callback"

    def ask(self, **form: str) -> requests.Response:
        return requests.post(f"{self.box.url}/oauth2/token", data={**self.client, **form}, timeout=60)

    def grant(self, **form: str) -> dict[str, Any]:
        reply = self.ask(**form)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def refused(self, **form: str) -> tuple[int, str, str]:
        reply = self.ask(**form)
        body = reply.json()
        assert set(body) == {"error", "error_description"}
        return reply.status_code, body["error"], body["error_description"]

    def assertion(
        self, key: Any = None, header: dict[str, str] | None = None, alg: str = "RS256", **claims: Any
    ) -> str:
        now = time.time()
        usual = {
            "iss": self.client["client_id"],
            "sub": self.enterprise,
            "box_sub_type": "enterprise",
            "aud": AUDIENCE,
            "jti": secrets.token_hex(16),
            "exp": now + 45,
        }
        said = {k: v for k, v in (usual | claims).items() if v is not None}
        return jwt.encode(said, key or self.key, algorithm=alg, headers={"kid": self.key_id, **(header or {})})

    def by_jwt(self, **options: Any) -> dict[str, str]:
        return {"grant_type": JWT_GRANT, "assertion": self.assertion(**options)}

    def code(self, consent: str = "grant", **query: str) -> dict[str, list[str]]:
        """What the redirect of the consent page says, after the form was filled in by hand."""
        asked = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "redirect_uri": self.redirect,
            "state": "s&1",
        }
        url = f"{self.box.url}/oauth2/authorize"
        page = requests.get(url, params={**asked, **query}, timeout=60)
        assert page.status_code == 200, page.text
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        form = {k: v.replace("&amp;", "&") for k, v in hidden.items()}
        users = re.findall(r'option value="(\d+)">(\w+)', page.text)
        form |= {"user_id": {name: number for number, name in users}["Bob"], "consent": consent}
        reply = requests.post(url, data=form, allow_redirects=False, timeout=60)
        assert reply.status_code == 302, reply.text
        assert reply.headers["Location"].startswith(self.redirect + "?")
        return parse_qs(urlsplit(reply.headers["Location"]).query)

    def pair(self) -> dict[str, Any]:
        return self.grant(grant_type="authorization_code", code=self.code()["code"][0])

    def login(self, token: str) -> str | int:
        """Who the token is; the status where it is refused."""
        reply = requests.get(f"{self.box.url}/2.0/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        return str(reply.json()["login"]) if reply.status_code == 200 else reply.status_code


@pytest.fixture
def app(box: Box) -> Application:
    return Application(box)


# The consent page


def test_consent_page_gives_a_code_that_works_once(app: Application) -> None:
    answer = app.code()
    assert answer["state"] == ["s&1"]
    got = app.grant(grant_type="authorization_code", code=answer["code"][0], redirect_uri=app.redirect)
    assert (got["token_type"], got["restricted_to"]) == ("bearer", [])
    assert 3590 <= got["expires_in"] <= 3600
    assert app.login(got["access_token"]) == "bob@example.com"
    spent = app.refused(grant_type="authorization_code", code=answer["code"][0])
    assert spent == (400, "invalid_grant", "The authorization code has expired")


def test_code_lives_30_seconds(app: Application) -> None:
    code = app.code()["code"][0]
    app.box.settings(clock_offset_s=31.0)
    assert app.refused(grant_type="authorization_code", code=code)[1] == "invalid_grant"


def test_consent_refused_says_so(app: Application) -> None:
    answer = app.code(consent="deny")
    assert answer["error"] == ["access_denied"]
    assert "code" not in answer


def test_redirect_that_is_not_configured_is_shown_on_the_page(app: Application) -> None:
    for redirect, error in (("https://evil.example/x", "redirect_uri_mismatch"), ("", "redirect_uri_missing")):
        query = {"response_type": "code", "client_id": app.client["client_id"], "redirect_uri": redirect}
        reply = requests.get(f"{app.box.url}/oauth2/authorize", params=query, timeout=60, allow_redirects=False)
        assert (reply.status_code, error in reply.text) == (400, True)


# Refresh tokens


def test_trap_25_refresh_token_works_once(app: Application) -> None:
    first = app.pair()
    second = app.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert app.refused(grant_type="refresh_token", refresh_token=first["refresh_token"]) == (
        400,
        "invalid_grant",
        "Invalid refresh token",
    )
    assert app.login(second["access_token"]) == app.login(first["access_token"]) == "bob@example.com"


def test_knob_old_token_dies_at_a_refresh(app: Application) -> None:
    app.box.settings(old_token_dies=True)
    first = app.pair()
    second = app.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert app.login(first["access_token"]) == 401
    assert app.login(second["access_token"]) == "bob@example.com"


def test_refresh_token_lives_60_days(app: Application) -> None:
    refresh = app.pair()["refresh_token"]
    app.box.settings(clock_offset_s=60 * 86400 + 10.0)
    assert app.refused(grant_type="refresh_token", refresh_token=refresh)[2] == "Refresh token has expired"


def test_tokens_survive_kill_9(app: Application, emulator: EmulatorProcess) -> None:
    pair = app.pair()
    emulator.restart()
    assert app.login(pair["access_token"]) == "bob@example.com"
    assert app.grant(grant_type="refresh_token", refresh_token=pair["refresh_token"])["refresh_token"]
    assert Application(app.box).config == app.config


# Client credentials and JWT


def test_client_credentials(app: Application) -> None:
    form = {"grant_type": "client_credentials", "box_subject_type": "enterprise", "box_subject_id": app.enterprise}
    got = app.grant(**form)
    assert "refresh_token" not in got
    assert str(app.login(got["access_token"])).startswith("AutomationUser_")
    user = app.box.me()["id"]
    got = app.grant(grant_type="client_credentials", box_subject_type="user", box_subject_id=user)
    assert app.login(got["access_token"]) == "ada@example.com"
    assert app.refused(**{**form, "box_subject_id": "1"}) == (400, "invalid_grant", "Grant credentials are invalid")
    assert app.refused(**form, client_secret="wrong")[1] == "invalid_client"


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512"])
def test_jwt_grant(app: Application, alg: str) -> None:
    got = app.grant(**app.by_jwt(alg=alg))
    assert "refresh_token" not in got
    assert str(app.login(got["access_token"])).endswith("@boxdevedition.com")


def test_jwt_grant_for_a_user(app: Application) -> None:
    got = app.grant(**app.by_jwt(sub=app.box.me()["id"], box_sub_type="user"))
    assert app.login(got["access_token"]) == "ada@example.com"


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"exp": 61 + 60}, "'exp'"),
        ({"exp": -1}, "'exp'"),
        ({"exp": None}, "'exp'"),
        ({"aud": "https://api.box.com/oauth2/tokens"}, "'aud'"),
        ({"iss": "somebody"}, "'iss'"),
        ({"sub": "17"}, "'sub'"),
        ({"box_sub_type": "external"}, "'sub'"),
        ({"jti": "short"}, "'jti'"),
        ({"jti": "x" * 129}, "'jti'"),
        ({"jti": None}, "'jti'"),
    ],
)
def test_trap_25_jwt_with_a_wrong_claim_fails(app: Application, claims: dict[str, Any], word: str) -> None:
    if isinstance(claims.get("exp"), int):
        claims = {"exp": time.time() + claims["exp"]}
    status, error, description = app.refused(**app.by_jwt(**claims))
    assert (status, error) == (400, "invalid_grant")
    assert word in description


def test_trap_25_jwt_with_a_reused_jti_fails(app: Application) -> None:
    form = app.by_jwt()
    app.grant(**form)
    assert "'jti'" in app.refused(**form)[2]


def test_trap_25_jwt_with_a_wrong_key_or_kid_fails(app: Application) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "signature" in app.refused(**app.by_jwt(key=other))[2]
    assert "Key Id" in app.refused(**app.by_jwt(header={"kid": "nobody"}))[2]
    assert "'alg'" in app.refused(**app.by_jwt(key="x" * 64, alg="HS256"))[2]


def test_token_endpoint_errors_have_their_own_shape(app: Application) -> None:
    assert app.refused(grant_type="password")[1] == "unsupported_grant_type"
    assert app.refused()[1] == "invalid_request"
    assert app.refused(grant_type="refresh_token")[1] == "invalid_request"
    assert app.refused(grant_type="refresh_token", client_id="x", refresh_token="y")[1] == "invalid_client"


# Refusals


def test_trap_24_401_speaks_through_its_header(app: Application) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        reply = requests.get(f"{app.box.url}/2.0/users/me", headers=headers, timeout=60)
        assert (reply.status_code, reply.content) == (401, b"")
        assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="Service", error="invalid_token"')
    app.box.settings(json_401=True)
    reply = requests.get(f"{app.box.url}/2.0/users/me", timeout=60)
    assert reply.json()["code"] == "unauthorized"


def test_knob_token_life_and_the_word_for_expired(app: Application) -> None:
    app.box.settings(token_life_s=60.0, expired_token_word=True)
    token = app.grant(**app.by_jwt())["access_token"]
    assert app.login(token) != 401
    app.box.settings(clock_offset_s=61.0)
    reply = requests.get(f"{app.box.url}/2.0/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert (reply.status_code, "expired_token" in reply.headers["WWW-Authenticate"]) == (401, True)


def test_expire_at_a_word(app: Application) -> None:
    pair = app.pair()
    app.box.call("POST", "/_emulator/tokens/expire", json={"user": "bob@example.com"})
    assert app.login(pair["access_token"]) == 401
    assert app.login("dev-token") == "ada@example.com"
    fresh = app.grant(grant_type="refresh_token", refresh_token=pair["refresh_token"])
    assert app.login(fresh["access_token"]) == "bob@example.com"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoke_ends_both_tokens_of_the_pair(app: Application, which: str) -> None:
    pair = app.pair()
    reply = requests.post(f"{app.box.url}/oauth2/revoke", data={**app.client, "token": pair[which]}, timeout=60)
    assert (reply.status_code, reply.content) == (200, b"")
    assert app.login(pair["access_token"]) == 401
    assert app.refused(grant_type="refresh_token", refresh_token=pair["refresh_token"])[1] == "invalid_grant"
    wrong = requests.post(f"{app.box.url}/oauth2/revoke", data={"token": "x"}, timeout=60)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")


# Downscoping and As-User


def exchange(app: Application, scope: str, resource: str | None = None, token: str = "dev-token") -> dict[str, Any]:
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "scope": scope}
    return app.grant(**form, **({"resource": resource} if resource else {}))


def test_trap_24_narrowed_token_can_rename_and_fails_to_delete(app: Application) -> None:
    box = app.box
    file = box.upload("/a.txt", b"hello")
    other = box.upload("/b.txt", b"other")
    got = exchange(app, "item_rename item_preview", f"https://api.box.com/2.0/files/{file['id']}")
    assert got["issued_token_type"] == ACCESS
    assert [(r["scope"], r["object"]["id"]) for r in got["restricted_to"]] == [
        ("item_rename", file["id"]),
        ("item_preview", file["id"]),
    ]
    narrow = box.as_user(got["access_token"])
    assert narrow.call("PUT", f"/2.0/files/{file['id']}", json={"name": "c.txt"})["name"] == "c.txt"
    refused = narrow.ask("DELETE", f"/2.0/files/{file['id']}")
    assert (refused.status_code, refused.content) == (403, b"")
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert narrow.ask("GET", f"/2.0/files/{file['id']}/content").status_code == 403
    assert narrow.ask("GET", f"/2.0/files/{other['id']}").status_code == 404
    narrow.close()


def test_narrowed_token_holds_for_all_below_a_folder(app: Application) -> None:
    box = app.box
    folder = box.mkdir("/in")
    box.upload("/in/a", b"1")
    box.upload("/out", b"2")
    got = exchange(app, "base_explorer item_download", f"https://api.box.com/2.0/folders/{folder}")
    narrow = box.as_user(got["access_token"])
    assert [e["name"] for e in narrow.entries(folder)] == ["a"]
    assert narrow.ask("GET", f"/2.0/files/{box.find('/in/a')['id']}/content").content == b"1"
    assert narrow.ask("GET", f"/2.0/files/{box.find('/out')['id']}").status_code == 404
    refused = narrow.ask("POST", "/2.0/folders", json={"name": "x", "parent": {"id": folder}})
    assert refused.status_code == 403
    narrow.close()


def test_narrowed_token_cannot_be_widened(app: Application) -> None:
    token = exchange(app, "item_preview")["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "scope": "item_delete"}
    assert app.refused(**form)[1] == "invalid_scope"
    form = {"grant_type": EXCHANGE, "subject_token": "nobody", "subject_token_type": ACCESS, "scope": "item_delete"}
    assert app.refused(**form)[1] == "invalid_grant"


def test_readonly_consent_may_read_and_not_write(app: Application) -> None:
    code = app.code(scope="root_readonly")["code"][0]
    bob = app.box.as_user(app.grant(grant_type="authorization_code", code=code)["access_token"])
    assert bob.entries() == []
    refused = bob.ask("POST", "/2.0/folders", json={"name": "x", "parent": {"id": "0"}})
    assert (refused.status_code, "insufficient_scope" in refused.headers["WWW-Authenticate"]) == (403, True)
    bob.close()


def test_as_user_is_for_administrators(app: Application) -> None:
    box = app.box
    bob = box.as_user("bob-token")
    number, ada = bob.me()["id"], box.me()["id"]
    assert box.ask("GET", "/2.0/users/me", headers={"As-User": number}).json()["login"] == "bob@example.com"
    assert bob.ask("GET", "/2.0/users/me", headers={"As-User": ada}).status_code == 403
    assert box.ask("GET", "/2.0/users/me", headers={"As-User": "17"}).status_code == 403
    service = box.as_user(app.grant(**app.by_jwt())["access_token"])
    assert service.ask("GET", "/2.0/users/me", headers={"As-User": ada}).json()["login"] == "ada@example.com"
    service.close()
    bob.close()


def test_app_users_come_and_go(app: Application) -> None:
    service = app.box.as_user(app.grant(**app.by_jwt())["access_token"])
    made = service.ask("POST", "/2.0/users", json={"name": "Robot", "is_platform_access_only": True})
    assert made.status_code == 201
    number = made.json()["id"]
    robot = app.box.as_user(app.grant(**app.by_jwt(sub=number, box_sub_type="user"))["access_token"])
    robot.upload("/mine", b"x")
    assert robot.me()["login"].startswith("AppUser_")
    assert number in [u["id"] for u in service.call("GET", "/2.0/users", params={"filter_term": "Rob"})["entries"]]
    assert service.call("PUT", f"/2.0/users/{number}", json={"job_title": "Arm"})["job_title"] == "Arm"
    assert service.ask("DELETE", f"/2.0/users/{number}").status_code == 400
    assert service.ask("DELETE", f"/2.0/users/{number}", params={"force": "true"}).status_code == 204
    assert service.ask("GET", f"/2.0/users/{number}").status_code == 404
    assert robot.ask("GET", "/2.0/users/me").status_code == 401
    bob = app.box.as_user("bob-token")
    assert bob.ask("GET", "/2.0/users").status_code == 403
    for client in (robot, service, bob):
        client.close()


def test_console_configuration_lies_in_the_data_folder(app: Application, emulator: EmulatorProcess) -> None:
    path = emulator.data / f"{app.enterprise}_{app.key_id}_config.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert app.client["client_id"] in path.read_text()
