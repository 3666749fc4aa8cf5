"""boxfs doctor: looks at everything that a mount needs, and says what cures what is not well."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from boxfs.base.config import build
from boxfs.base.option import OptionError
from boxfs.cli import checks, completing, settings
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.remote import DEFAULT_ACCOUNT

_MARKS = {True: "ok  ", False: "BAD ", None: "note"}


@click.command("doctor", short_help="Look for what keeps a mount from working.")
@click.argument("account", default=DEFAULT_ACCOUNT, shell_complete=completing.account)
@click.option("-o", "--options", "words", multiple=True, metavar="LIST", help="Options as for boxfs mount.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(account: str, words: tuple[str, ...], as_json: bool) -> int:
    """Check FUSE, kernel, disk, network, TLS, proxy, clock and the token of ACCOUNT.  Ends with 1 where one is bad."""
    findings: list[checks.Finding] = []
    account = account.partition(":")[0]
    try:
        found = settings.gather(account, None, words)
    except (CliError, OptionError) as error:
        findings.append(checks.Finding("config", False, str(error), "mend it; the other checks use the defaults"))
        found = build([])
    for check in checks.ALL:
        try:
            findings += check(account, found)
        except OSError as error:
            findings.append(checks.Finding(check.__name__, None, f"cannot be looked at: {error}"))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], indent=2))
    else:
        for one in findings:
            click.echo(f"{_MARKS[one.ok]}  {one.what:<11} {one.told}")
            if one.cure:
                click.echo(f"      {'':<11} -> {one.cure}")
    return Exit.FAILED if any(one.ok is False for one in findings) else Exit.OK
