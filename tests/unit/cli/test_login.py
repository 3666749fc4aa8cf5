"""Every way in, from the command line to a stored account that works; run against the emulator."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.support.box import Box, EmulatorProcess

PATIENCE_S = 60


class Shell:
    """Runs boxfs as somebody who has logged in to nothing yet."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.accounts = home / "accounts"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOXFS_")},
            "BOXFS_CONFIG": str(home / "config.toml"),
            "BOXFS_API_URL": url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "boxfs", *arguments],
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path, box: Box) -> Shell:
    return Shell(tmp_path, box.url)


@pytest.fixture
def application(emulator: EmulatorProcess, box: Box) -> Path:
    return emulator.data / "box_config.json"


def test_a_ready_token_is_stored_and_nobody_else_can_read_it(shell: Shell) -> None:
    done = shell.run("login", "work", "--token", env={"BOXFS_TOKEN": "dev-token"})
    assert done.returncode == 0, done.stderr
    assert "ada@example.com" in done.stdout
    assert stat.S_IMODE((shell.accounts / "work.json").stat().st_mode) == 0o600
    assert "ada@example.com" in shell.run("whoami", "work").stdout
    assert "dev-token" not in shell.run("accounts").stdout + shell.run("accounts", "--json").stdout
    assert shell.run("logout", "work").returncode == 0
    assert not (shell.accounts / "work.json").exists()
    assert shell.run("whoami", "work").returncode == 77


def test_a_wrong_token_is_not_stored(shell: Shell) -> None:
    done = shell.run("login", "--token", env={"BOXFS_TOKEN": "nonsense"})
    assert done.returncode == 77
    assert len(done.stderr.splitlines()) == 1
    assert not shell.accounts.exists()


def test_jwt_by_the_consoles_file(shell: Shell, application: Path) -> None:
    done = shell.run("login", "robot", "--jwt", str(application))
    assert done.returncode == 0, done.stderr
    assert "AutomationUser" in shell.run("whoami", "robot").stdout
    tokens = shell.accounts / "robot.tokens"
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600


def test_client_credentials_of_a_user(shell: Shell, application: Path, box: Box) -> None:
    app = json.loads(application.read_text())["boxAppSettings"]
    arguments = ["login", "cc", "--client-credentials", "--client-id", app["clientID"]]
    env = {"BOXFS_CLIENT_SECRET": app["clientSecret"]}
    assert shell.run(*arguments, env=env).returncode == 2
    done = shell.run(*arguments, "--subject", f"user:{box.me()['id']}", env=env)
    assert done.returncode == 0, done.stderr
    assert "ada@example.com" in shell.run("whoami", "cc").stdout


def _answer_in_the_browser(process: subprocess.Popen[str], box: Box, consent: str) -> requests.Response:
    assert process.stdout is not None
    said = ""
    while (found := re.search(r"(http://\S+)\s", said)) is None:
        line = process.stdout.readline()
        assert line, said
        said += line
    assert requests.get(found[1], timeout=PATIENCE_S).status_code == 200
    form = {name: values[0] for name, values in parse_qs(urlsplit(found[1]).query).items()}
    form |= {"user_id": box.me()["id"], "consent": consent}
    return requests.post(found[1].partition("?")[0], data=form, timeout=PATIENCE_S)


@pytest.mark.parametrize("consent", ["grant", "deny"])
def test_the_browser_is_told_how_the_login_went(shell: Shell, application: Path, box: Box, consent: str) -> None:
    app = json.loads(application.read_text())["boxAppSettings"]
    arguments = ["login", "me", "--no-browser", "--client-id", app["clientID"], "--redirect-uri"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "boxfs", *arguments, "http://127.0.0.1:0/done"],
        env={**shell.env, "BOXFS_CLIENT_SECRET": app["clientSecret"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            page = _answer_in_the_browser(process, box, consent)
            output, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    if consent == "grant":
        assert "You are logged in" in page.text
        assert process.returncode == 0, output
        assert "ada@example.com" in output
        assert "ada@example.com" in shell.run("whoami", "me").stdout
    else:
        assert "did not work" in page.text
        assert page.status_code == 400
        assert process.returncode == 77
        assert "consent was not given" in output
        assert not (shell.accounts / "me.json").exists()


def test_an_account_file_that_others_can_read_is_refused(shell: Shell) -> None:
    assert shell.run("login", "--token", env={"BOXFS_TOKEN": "dev-token"}).returncode == 0
    (shell.accounts / "box.json").chmod(0o644)
    done = shell.run("whoami")
    assert done.returncode == 78
    assert "chmod 600" in done.stderr
