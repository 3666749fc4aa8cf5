"""Puts a mount together: transport, BoxDrive, file system, kernel session.  The only place that knows them all."""

from __future__ import annotations

from pathlib import Path

from boxfs.cli.exits import CliError
from boxfs.cli.mount import Request
from boxfs.cli.running import Drive


def build(request: Request, cache_dir: Path) -> Drive:
    raise CliError(f"the file system is not there yet ({request.remote}, {cache_dir})")
