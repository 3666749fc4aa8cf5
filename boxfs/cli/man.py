"""boxfs man: the man pages, for packagers and for `man -l`."""

from __future__ import annotations

from pathlib import Path

import click

from boxfs.cli import manual


@click.command("man", short_help="Print a man page, or write all of them into a folder.")
@click.argument("name", type=click.Choice(["boxfs", "mount.boxfs", "options"]), default="boxfs")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write all pages below this folder.")
def command(name: str, into: Path | None) -> int:
    """Print the man page NAME (`boxfs man | man -l -` shows it); options prints docs/OPTIONS.md."""
    if into is not None:
        for one in manual.PAGES:
            path = into / f"man{one[-1]}" / one
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(manual.page(one))
        return 0
    if name == "options":
        click.echo(manual.options_document(), nl=False)
    else:
        click.echo(manual.page(next(one for one in manual.PAGES if one.rpartition(".")[0] == name)), nl=False)
    return 0
