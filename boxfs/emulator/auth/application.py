"""The application that the emulator's enterprise has registered: client id and secret, key pair, redirects.

Made on the first start, durable in the table `application`; its console configuration (the JSON file that the developer
console lets one download) is written beside the data, for `boxfs login --jwt` and the SDKs.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from boxfs.emulator.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS application (one INTEGER PRIMARY KEY CHECK (one = 1), data TEXT NOT NULL);"
APP_SCOPES = (
    "root_readonly",
    "root_readwrite",
    "manage_managed_users",
    "manage_app_users",
    "manage_groups",
    "manage_webhook",
    "manage_enterprise_properties",
    "manage_data_retention",
)
LOOPBACKS = ("http://localhost", "http://127.0.0.1", "http://[::1]")


@dataclass(frozen=True, slots=True)
class Application:
    """As the developer console knows it.  private_key: PEM, encrypted with the passphrase; public_key: PEM.

    service_account: user id.  redirect_uris: a loopback address without port or path stands for all of its ports.
    """

    client_id: str
    client_secret: str
    enterprise_id: str
    service_account: int
    key_id: str
    public_key: str
    private_key: str
    passphrase: str
    redirect_uris: tuple[str, ...] = LOOPBACKS
    scopes: tuple[str, ...] = APP_SCOPES

    def console_config(self) -> dict[str, Any]:
        """The file that the developer console lets one download."""
        return {
            "boxAppSettings": {
                "clientID": self.client_id,
                "clientSecret": self.client_secret,
                "appAuth": {
                    "publicKeyID": self.key_id,
                    "privateKey": self.private_key,
                    "passphrase": self.passphrase,
                },
            },
            "enterpriseID": self.enterprise_id,
        }


def bootstrap(store: Store, known: Application | None = None) -> Application:
    """The registered application; made, with its service account and its configuration file, where there is none.

    known: what it was before a reset; it stays the same, keys and all.
    """
    row = store.db.execute("SELECT data FROM application").fetchone()
    if row is not None:
        data = json.loads(row[0])
        return Application(**{**data, "redirect_uris": tuple(data["redirect_uris"]), "scopes": tuple(data["scopes"])})
    name = f"AutomationUser_{secrets.randbelow(10**6)}_{secrets.token_hex(5)}"
    account = store.add_user(f"{name}@boxdevedition.com", "boxfs emulator", service=True, is_platform_access_only=True)
    app = _new(str(secrets.randbelow(10**6) + 10**6), account.id) if known is None else known
    app = replace(app, service_account=account.id)
    save(store, app)
    store.after_commit(lambda: _write_config(store, app))
    return app


def save(store: Store, app: Application) -> None:
    store.db.execute("INSERT OR REPLACE INTO application VALUES (1, ?)", (json.dumps(asdict(app)),))


def _write_config(store: Store, app: Application) -> None:
    """ENTERPRISE_KEY_config.json with mode 0600, and boxfs-emulator.json under a name that can be guessed."""
    for old in store.root.glob("*_config.json"):
        old.unlink()
    text = json.dumps(app.console_config(), indent=2)
    for name in (f"{app.enterprise_id}_{app.key_id}_config.json", "box_config.json"):
        fd = os.open(store.root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)


def _new(enterprise_id: str, service_account: int) -> Application:
    """Ids, secret and a fresh 2048-bit key pair, its private half encrypted with a passphrase as the console does."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    passphrase = secrets.token_hex(16)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Application(
        client_id=secrets.token_hex(16),
        client_secret=secrets.token_hex(16),
        enterprise_id=enterprise_id,
        service_account=service_account,
        key_id=base64.b32encode(secrets.token_bytes(5)).decode().lower(),
        public_key=public.decode(),
        private_key=private.decode(),
        passphrase=passphrase,
    )


def redirect_allowed(app: Application, uri: str) -> bool:
    """Whether a redirect is configured: to the letter, but that a bare loopback stands for all of its ports."""
    if uri in app.redirect_uris:
        return True
    return any(uri.startswith((base + ":", base + "/")) for base in LOOPBACKS if base in app.redirect_uris)
