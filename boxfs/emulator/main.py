"""The command line of the emulator: `python -m boxfs.emulator`."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxfs.emulator.faults import FaultPlan
from boxfs.emulator.server import serve
from boxfs.emulator.settings import BadSetting, Settings, described

READY = "boxfs emulator ready: "


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="boxfs emulator",
        description="A local Box server. One URL serves the API (/2.0), uploads (/api/2.0), /oauth2 and downloads.",
    )
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that keeps everything")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    made.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    made.add_argument(
        "--token", action="append", default=[], metavar="TOKEN=LOGIN",
        help="a developer token and the user it is for (default dev-token=ada@example.com, bob-token=bob@example.com)",
    )  # fmt: skip
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a knob; see --list-knobs")
    made.add_argument("--settings", type=Path, metavar="FILE", help="knobs, and a list `faults`: TOML or JSON")
    made.add_argument(
        "--fault", action="append", default=[], metavar="JSON",
        help="a line of the fault plan: {\"do\": \"status\", \"status\": 503, \"path\": \"/files/\", \"times\": 2} …",
    )  # fmt: skip
    made.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate (chain) to serve TLS with")
    made.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    made.add_argument("--list-knobs", action="store_true", help="print all knobs with their defaults and stop")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    if "--list-knobs" in arguments:
        for name, (_group, default, meaning) in described().items():
            print(f"{name}={default}\n    {meaning}")
        return 0
    options = parser().parse_args(arguments)
    try:
        settings, faults = _settings(options)
        serve(
            options.data,
            options.host,
            options.port,
            settings=settings,
            faults=faults,
            tokens=_tokens(options.token),
            certificate=options.tls_cert,
            key=options.tls_key,
            ready=lambda url: print(f"{READY}{url}", flush=True),
        )
    except (BadSetting, OSError) as error:
        print(f"boxfs emulator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _settings(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(knobs, faults) of the settings file with those of the command line behind them.  Raises BadSetting."""
    found = _read(options.settings) if options.settings else {}
    faults = list(found.pop("faults", []))
    found.update(Settings.parse(assignment) for assignment in options.set)
    Settings().update(found)
    try:
        faults += [json.loads(text) for text in options.fault]
        for fault in faults:
            FaultPlan().add(fault)
    except (ValueError, TypeError) as error:
        raise BadSetting(str(error)) from None
    return found, faults


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
    except ValueError as error:
        raise BadSetting(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise BadSetting(f"{path} holds no table of knobs")
    return found


def _tokens(assignments: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for assignment in assignments:
        token, equals, login = assignment.partition("=")
        if not equals or not token or not login:
            raise BadSetting(f"expected TOKEN=LOGIN, not {assignment!r}")
        found[token] = login
    return found or None
