"""Nothing secret in logs, messages, representations of objects, process lists, or the server's request log."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxfs.api import BoxClient, ClientCredentials, FileStore, Jwt, JwtConfig, OAuth2, StaticToken
from boxfs.base.errors import FsError
from tests.client.conftest import QUICK
from tests.client.test_ways_in import log_in
from tests.support.box import TOKEN, Box, EmulatorProcess

PASSWORD = "shared-link-PASSWORD"


def failing(call: Callable[[], object]) -> str:
    """Return all that the error shows, with causes."""
    try:
        call()
    except FsError as error:
        return f"{error!r} {traceback.format_exc()}"
    raise AssertionError("that should have failed")


def test_nothing_secret_is_told_anywhere(
    box: Box, console: dict[str, Any], emulator: EmulatorProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # of everything, urllib3 too
    log = logging.getLogger("boxfs.api")
    app = console["boxAppSettings"]
    store = FileStore(tmp_path / "tokens.json")
    auth = log_in(box, console, store)
    config = JwtConfig.from_file(emulator.data / "box_config.json")
    shown: list[str] = []
    secrets = [TOKEN, app["clientSecret"], app["appAuth"]["passphrase"], "PRIVATE KEY", PASSWORD, "FILE CONTENT"]

    def remember() -> None:
        tokens = store.load()
        assert tokens is not None
        assert tokens.refresh is not None
        secrets.extend([tokens.access, tokens.refresh])
        shown.append(repr(tokens))

    remember()
    with BoxClient(auth, api_url=box.url, backoff=QUICK, log=log) as client:
        auth.renewed(client.session.anonymous, secrets[-2])
        remember()
        folder = client.folders.create("0", "Reports")
        link = client.folders.create_shared_link(folder.id, password=PASSWORD)
        file = client.files.upload(folder.id, "a.txt", b"FILE CONTENT")
        client.files.read(file)
        weak = client.downscoped(["item_preview"])
        secrets.append(weak.access)
        shown += [repr(client), repr(client.session), repr(auth), repr(store), repr(weak), repr(file)]
        guest = client.with_shared_link(link.url or "", PASSWORD)
        guest.folders.get(folder.id)
        box.fault(do="status", status=400, path="/2.0/", times=None)
        shown.append(failing(lambda: client.shared_links.open(link.url or "", password=PASSWORD)))
        shown.append(failing(lambda: guest.folders.get(folder.id)))
        box.call("DELETE", "/_emulator/faults")
        box.fault(do="reset", path="/", times=None)
        shown.append(failing(lambda: client.files.read(file)))
        shown.append(failing(lambda: auth.renewed(client.session.anonymous, secrets[-3])))
        box.call("DELETE", "/_emulator/faults")
        store.save(type(weak)(access="spent", refresh="spent-REFRESH-token"))
        secrets.append("spent-REFRESH-token")
        shown.append(failing(lambda: auth.renewed(client.session.anonymous, "spent")))
    for other in (
        Jwt(config, api_url=box.url),
        ClientCredentials(app["clientID"], app["clientSecret"], "enterprise", "77", api_url=box.url),
        OAuth2(app["clientID"], app["clientSecret"], store=store, api_url=box.url),
        StaticToken(TOKEN + "-wrong"),
    ):
        with BoxClient(other, api_url=box.url, backoff=QUICK, log=log) as client:
            box.fault(do="status", status=401, path="/2.0/users/me", times=3)
            shown.append(failing(client.users.me) + repr(other) + repr(config))
    shown.append(Path("/proc/self/cmdline").read_bytes().decode())
    told = {"log": caplog.text, "shown": "\n".join(shown), "requests": json.dumps(box.log())}
    assert "POST" in told["log"]
    for place, text in told.items():
        for secret in secrets:
            assert secret not in text, f"{secret[:4]}… of {len(secret)} characters is in {place}"
        assert "/dl/1/" not in text or place == "requests"
        assert "channel=" not in text
