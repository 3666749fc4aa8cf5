"""boxfs login, logout, whoami, accounts: the ways into Box, each stored under a name."""

from __future__ import annotations

import contextlib
import json
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click

from boxfs.api.auth import AsUser, Auth
from boxfs.api.drive import BoxDrive
from boxfs.api.server_auth import JwtConfig
from boxfs.api.session import Session
from boxfs.base.errors import FsError, Unreachable
from boxfs.cli import accounts, completing, settings
from boxfs.cli.accounts import Account
from boxfs.cli.credentials import auth_for
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.loopback import Loopback
from boxfs.cli.remote import DEFAULT_ACCOUNT

# What the application in Box's developer console must have among its redirect URIs.
REDIRECT_URI = "http://localhost:8553/"
_LOGIN_TIMEOUT_S = 600.0


@click.command("login", short_help="Log in to a Box account.")
@click.argument("account", default=DEFAULT_ACCOUNT, shell_complete=completing.account)
@click.option("--client-id", envvar="BOXFS_CLIENT_ID", help="Of your application in Box's developer console.")
@click.option("--client-secret-file", type=click.Path(path_type=Path, dir_okay=False), help="A file with its secret "
              "(else BOXFS_CLIENT_SECRET, else asked for).")  # fmt: skip
@click.option("--redirect-uri", default=REDIRECT_URI, show_default=True, help="As configured in the console; loopback.")
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening the browser.")
@click.option("--paste", is_flag=True, help="For a machine without a browser: paste the address that Box ends at.")
@click.option("--jwt", type=click.Path(path_type=Path, dir_okay=False), help="The console's JSON file: log in by JWT.")
@click.option("--client-credentials", is_flag=True, help="Log in by client credentials.")
@click.option("--subject", metavar="enterprise:ID|user:ID", help="Of --jwt and --client-credentials: who to be.")
@click.option("--token", "ready", is_flag=True, help="Keep a ready token (asked for; or BOXFS_TOKEN).")
@click.option("--as-user", default="", metavar="ID", help="Act as this user in everything.")
@click.option("--api-url", envvar="BOXFS_API_URL", default="https://api.box.com", help="Another Box server.")
@click.option("--upload-url", envvar="BOXFS_UPLOAD_URL", default="", help="Where its uploads go.")
@click.option("--no-keyring", is_flag=True, help="Keep secrets in a file (0600) even where there is a keyring.")
def command(
    account: str,
    client_id: str | None,
    client_secret_file: Path | None,
    redirect_uri: str,
    no_browser: bool,
    paste: bool,
    jwt: Path | None,
    client_credentials: bool,
    subject: str | None,
    ready: bool,
    as_user: str,
    api_url: str,
    upload_url: str,
    no_keyring: bool,
) -> int:
    """Log in and store the way in as ACCOUNT (else: box), in the browser, or as the options say without one."""
    name = accounts.check_name(account.partition(":")[0])
    kind, _, number = (subject or "").partition(":")
    if subject is not None and (kind not in ("enterprise", "user") or not number):
        raise CliError("--subject is enterprise:ID or user:ID", Exit.USAGE)
    base = Account(name=name, way="oauth", api_url=api_url.rstrip("/"), upload_url=upload_url, as_user=as_user,
                   subject_type=kind, subject_id=number)  # fmt: skip
    if ready:
        token = _from_environment("BOXFS_TOKEN") or click.prompt("Token", hide_input=True)
        new = replace(base, way="token", secrets={"token": token})
    elif jwt is not None:
        config = JwtConfig.from_file(jwt)
        new = replace(
            base, way="jwt", client_id=config.client_id, secrets={"jwt": json.dumps(json.loads(jwt.read_text()))}
        )
    else:
        if client_credentials and subject is None:
            raise CliError("--client-credentials needs --subject enterprise:ID or user:ID", Exit.USAGE)
        secret = _client_secret(client_secret_file)
        new = replace(
            base,
            way="client_credentials" if client_credentials else "oauth",
            client_id=client_id or click.prompt("Client id of your application in Box's developer console"),
            secrets={"client_secret": secret or click.prompt("Its client secret", hide_input=True)},
        )
    old = accounts.load(name)
    if old is not None and old.client_id != new.client_id:
        old.tokens.clear()
    who = _in_the_browser(new, redirect_uri, no_browser, paste) if new.way == "oauth" else _who(new, new.auth())
    stored = accounts.save(replace(new, login=who), keyring=not no_keyring)
    where = "the keyring" if stored.in_keyring else str(accounts.folder() / f"{name}.json")
    click.echo(f"logged in as {who}; stored as {name} ({where}).  Next: boxfs mount {name}: FOLDER")
    return Exit.OK


def _client_secret(path: Path | None) -> str | None:
    if path is None:
        return _from_environment("BOXFS_CLIENT_SECRET")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}", Exit.NO_INPUT) from None


def _from_environment(name: str) -> str | None:
    import os

    return os.environ.get(name) or None


@contextlib.contextmanager
def _session(account: Account, auth: Auth) -> Iterator[Session]:
    session = Session(auth, api_url=account.api_url, upload_url=account.upload_url or None)
    try:
        yield session
    finally:
        session.close()


def _who(account: Account, auth: Auth) -> str:
    with _session(account, auth) as session:
        return BoxDrive(session=session).account().login


def _in_the_browser(account: Account, redirect_uri: str, no_browser: bool, paste: bool) -> str:
    oauth = account.oauth()
    auth: Auth = AsUser(oauth, account.as_user) if account.as_user else oauth
    if urlsplit(redirect_uri).hostname not in ("localhost", "127.0.0.1", "::1"):
        raise CliError("--redirect-uri must lead to this machine (http://localhost:PORT/)", Exit.USAGE)
    with _session(account, auth) as session:
        state = ""

        def finish(url: str) -> str:
            oauth.finish_redirect(session.anonymous, url, state)
            return BoxDrive(session=session).account().login

        if paste:
            url, state = oauth.start(redirect_uri)
            click.echo(f"Open this address in a browser, on any machine, and allow the access:\n\n  {url}\n\n"
                       f"It ends at a page that cannot be shown ({redirect_uri}…): that is right.")  # fmt: skip
            return finish(click.prompt("Paste the whole address of that page"))
        try:
            loopback = Loopback(redirect_uri, finish)
        except OSError as error:
            raise CliError(f"cannot listen at {redirect_uri}: {error.strerror}; use --paste, or another --redirect-uri",
                           Exit.CANNOT_CREATE) from None  # fmt: skip
        parts = urlsplit(redirect_uri)
        uri = parts._replace(netloc=f"{parts.hostname}:{loopback.port}").geturl()
        url, state = oauth.start(uri)
        if no_browser or not webbrowser.open(url):
            click.echo(f"Open this address in a browser on this machine, and allow the access:\n\n  {url}\n")
        else:
            click.echo("Your browser asks whether boxfs may use your Box account …")
        who = loopback.wait(_LOGIN_TIMEOUT_S)
    if who is None:
        raise CliError(f"nobody logged in within {_LOGIN_TIMEOUT_S / 60:.0f} minutes", Exit.NO_PERMISSION)
    return who


@click.command("logout", short_help="End a login and forget it.")
@click.argument("account", default=DEFAULT_ACCOUNT, shell_complete=completing.account)
def logout(account: str) -> int:
    """Revoke the tokens of ACCOUNT at Box, and remove it and its secrets from this machine."""
    name = account.partition(":")[0]
    stored = accounts.load(name)
    if stored is None:
        raise CliError(f"nobody is logged in as {name}", Exit.NO_INPUT)
    if stored.way == "oauth":
        try:
            oauth = stored.oauth()
            with _session(stored, oauth) as session:
                oauth.revoke(session.anonymous)
        except Unreachable as error:
            click.echo(f"boxfs: Box cannot be told: {error}; the token there ends by itself", err=True)
        except (FsError, CliError) as error:
            click.echo(f"boxfs: not revoked: {error}", err=True)
    accounts.forget(stored)
    click.echo(f"logged out {name}")
    return Exit.OK


@click.command("whoami", short_help="Whose account it is.")
@click.argument("account", default=DEFAULT_ACCOUNT, shell_complete=completing.account)
def whoami(account: str) -> int:
    """Ask Box who ACCOUNT is."""
    name = account.partition(":")[0]
    options = settings.gather(name, None).options
    api, upload = options.endpoints()
    box = BoxDrive(auth_for(name, options), api_url=api, upload_url=upload)
    try:
        found = box.account()
    finally:
        box.close()
    click.echo(f"{found.name} <{found.login}> (id {found.id}) at {api}")
    return Exit.OK


@click.command("accounts", short_help="The accounts that are logged in.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_accounts(as_json: bool) -> int:
    """List what `boxfs login` has stored."""
    found = [account for name in accounts.names() if (account := accounts.load(name)) is not None]
    if as_json:
        click.echo(json.dumps([{"name": a.name, "way": a.way, "login": a.login, "api_url": a.api_url,
                                "as_user": a.as_user} for a in found], indent=2))  # fmt: skip
        return Exit.OK
    for one in found:
        click.echo(f"{one.name:<12} {one.login} ({one.way}{', as user ' + one.as_user if one.as_user else ''})")
    if not found:
        click.echo("nobody is logged in: boxfs login")
    return Exit.OK
