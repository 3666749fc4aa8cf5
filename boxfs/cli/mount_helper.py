"""mount.boxfs(8): what mount(8) and fstab call for the type boxfs (`mount -t boxfs box:/Team /mnt/team -o …`).

    mount.boxfs SOURCE TARGET [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTIONS]

The type fuse.boxfs needs no helper of ours: mount.fuse(8) runs `boxfs SOURCE TARGET -o OPTIONS`.
Exit codes are mount(8)'s: 0 mounted, 1 wrong usage, 2 system error, 4 a defect, 32 failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from boxfs.cli import main as boxfs
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.secrets import hide_secrets

_CODES = {Exit.OK: 0, Exit.USAGE: 1, Exit.CONFIG: 1, Exit.NO_FUSE: 2, Exit.INTERNAL: 4, 130: 8}
_FAILED = 32


def arguments(args: Sequence[str]) -> list[str] | None:
    """Return the `boxfs mount` command line; None where nothing is to be done (-f, a rehearsal).  Raises CliError."""
    plain: list[str] = []
    words: list[str] = []
    fake = False
    rest = iter(args)
    for word in rest:
        if word in ("-o", "-N", "-t", "--options", "--types"):
            value = next(rest, None)
            if value is None:
                raise CliError(f"{word} wants a value", Exit.USAGE)
            if word in ("-o", "--options"):
                words.append(value)
        elif word.startswith("-o") and len(word) > 2:
            words.append(word[2:])
        elif word.startswith("-") and len(word) > 1:
            unknown = set(word[1:]) - set("sfnvrw")
            if word.startswith("--") or unknown:
                raise CliError(f"unknown option {word!r}", Exit.USAGE)
            fake = fake or "f" in word
            words += ["ro"] if "r" in word else []
        else:
            plain.append(word)
    if len(plain) != 2:
        raise CliError("usage: mount.boxfs SOURCE TARGET [-o OPTIONS]", Exit.USAGE)
    return None if fake else ["mount", *(part for word in words for part in ("-o", word)), "--", *plain]


def main() -> NoReturn:
    """The `mount.boxfs` program."""
    hide_secrets(sys.argv)
    try:
        command = arguments(sys.argv[1:])
        sys.exit(0 if command is None else boxfs.run(command, prog="mount.boxfs"))
    except CliError as error:
        click.echo(f"mount.boxfs: {error}", err=True)
        sys.exit(_CODES.get(error.code, _FAILED))


if __name__ == "__main__":
    main()
