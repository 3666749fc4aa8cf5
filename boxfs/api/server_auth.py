"""Ways in without a person: JWT and client credentials.  The only door to `jwt` and `cryptography`.

Both give a token for the application's service account (subject "enterprise") or for a user; there is no refresh token,
one asks again (box-api.md sections 2.2, 2.3).  Both packages are imported where they are used: every command and mount
imports this module, few of them sign.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from boxfs.api import grants, wire
from boxfs.api.http import Transport
from boxfs.api.renewing import Renewing
from boxfs.api.session import API_URL
from boxfs.api.tokens import Tokens, TokenStore
from boxfs.base.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Subject = Literal["enterprise", "user"]
# Box takes at most 60 s; the rest is for clocks that differ.
ASSERTION_LIFE_S = 45
# Box wants its own name here, whatever host is asked.
AUDIENCE = "https://api.box.com/oauth2/token"
TRIES = 3


class _Server(Renewing):
    """What both have in common: who asks and for whom."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        subject_type: Subject,
        subject_id: str,
        *,
        store: TokenStore | None = None,
        on_tokens: Callable[[Tokens], None] | None = None,
        api_url: str = API_URL,
        **options: Any,
    ) -> None:
        super().__init__(oauth_url=f"{api_url.rstrip('/')}/oauth2", store=store, on_tokens=on_tokens, **options)
        self._client_id = client_id
        self._client_secret = client_secret
        self._subject: tuple[Subject, str] = (subject_type, subject_id)


class ClientCredentials(_Server):
    """subject_type, subject_id: ("enterprise", its id) for the service account, ("user", a user's id) for that user."""

    def _ask(self, transport: Transport, stored: Tokens | None) -> Tokens:  # noqa: ARG002
        form = grants.client_credentials(self._client_id, self._client_secret, *self._subject)
        response = transport.send(grants.request(self._oauth_url, "token", form))
        return grants.tokens(response, self._clock())


@dataclass(frozen=True, slots=True)
class JwtConfig:
    """The file that Box's developer console gives to download, or its parts."""

    client_id: str
    client_secret: str = field(repr=False)
    key_id: str
    private_key: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)
    enterprise_id: str | None = None

    @classmethod
    def from_file(cls, path: Path | str) -> JwtConfig:
        """Raises InvalidArgument, which names what is missing; OSError."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except ValueError:
            raise InvalidArgument(f"{path}: not the JSON file of Box's developer console") from None
        except InvalidArgument as error:
            raise InvalidArgument(f"{path}: {error}") from None

    @classmethod
    def from_json(cls, config: Any) -> JwtConfig:
        app = wire.obj(wire.obj(config).get("boxAppSettings"))
        key = wire.obj(app.get("appAuth"))
        found = {
            "clientID": wire.text(app.get("clientID")),
            "clientSecret": wire.text(app.get("clientSecret")),
            "publicKeyID": wire.text(key.get("publicKeyID")),
            "privateKey": wire.text(key.get("privateKey")),
        }
        missing = ", ".join(name for name, value in found.items() if value is None)
        if missing:
            raise InvalidArgument(f"{missing} missing (an application for client credentials only has no key)")
        return cls(
            client_id=found["clientID"] or "",
            client_secret=found["clientSecret"] or "",
            key_id=found["publicKeyID"] or "",
            private_key=found["privateKey"] or "",
            passphrase=wire.text(key.get("passphrase")),
            enterprise_id=wire.text(wire.obj(config).get("enterpriseID")),
        )


class Jwt(_Server):
    """config: the console's.  user_id: ask for that user's tokens (an app user, a managed user); else the service
    account's of the enterprise.  algorithm: RS256, RS384 or RS512.
    """

    def __init__(
        self, config: JwtConfig, *, user_id: str | None = None, algorithm: str = "RS512", **options: Any
    ) -> None:
        if user_id is None and config.enterprise_id is None:
            raise InvalidArgument("JWT needs an enterprise id or a user id")
        subject: tuple[Subject, str] = ("user", user_id) if user_id else ("enterprise", config.enterprise_id or "")
        super().__init__(config.client_id, config.client_secret, *subject, **options)
        self._key_id = config.key_id
        self._key = _private_key(config)
        self._algorithm = algorithm
        self._ahead_s = 0.0  # how far Box's clock is ahead of ours, as last heard

    def _ask(self, transport: Transport, stored: Tokens | None) -> Tokens:  # noqa: ARG002
        for tries_left in reversed(range(TRIES)):
            form = grants.jwt(self._client_id, self._client_secret, self.assertion())
            response = transport.send(grants.request(self._oauth_url, "token", form))
            try:
                return grants.tokens(response, self._clock())
            except grants.GrantRefused as refused:
                # A wrong clock shows as a complaint about exp (or iat, nbf), chance as one about jti.
                if not tries_left or not any(claim in refused.description for claim in ("exp", "jti", "iat", "nbf")):
                    raise
                server_s = grants.date_s(response)
                if server_s is not None:
                    self._ahead_s = server_s - self._clock()
        raise AssertionError("unreachable")

    def assertion(self) -> str:
        """Return a signed assertion with a jti of its own."""
        import jwt

        now_s = self._clock() + self._ahead_s
        claims = {
            "iss": self._client_id,
            "sub": self._subject[1],
            "box_sub_type": self._subject[0],
            "aud": AUDIENCE,
            "jti": secrets.token_hex(32),
            "exp": int(now_s) + ASSERTION_LIFE_S,
        }
        return jwt.encode(claims, self._key, algorithm=self._algorithm, headers={"kid": self._key_id})


def _private_key(config: JwtConfig) -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    passphrase = config.passphrase.encode() if config.passphrase else None
    try:
        key = load_pem_private_key(config.private_key.encode(), passphrase)
    except (TypeError, ValueError):
        raise InvalidArgument("the private key cannot be read: check it and its passphrase") from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidArgument("the private key is not an RSA key")
    return key
