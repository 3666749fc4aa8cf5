"""One option: how it is declared, how its value is written, checked and shown.  The options themselves: config.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from boxfs.base.units import format_size, parse_bool, parse_octal, parse_seconds, parse_size

Unit = Literal["", "bytes", "seconds", "octal"]
Group = Literal["server", "mount", "owner", "writing", "reading", "names", "engine"]

GROUPS: dict[Group, str] = {
    "server": "Which Box, and who asks",
    "mount": "The mount",
    "owner": "Owners and permissions",
    "writing": "Writing",
    "reading": "Reading and the cache",
    "names": "Names and attributes",
    "engine": "Engine",
}


class OptionError(ValueError):
    """An option that does not exist or a value that does not fit; the message is one line for the user."""


def option(
    default: Any,
    help: str,
    *,
    group: Group,
    unit: Unit = "",
    choices: tuple[str, ...] = (),
    least: float | None = None,
    env: str | None = None,
    flag: str | None = None,
    live: bool = False,
    secret: bool = False,
) -> Any:
    """Declare a field of `Options`.

    unit: how a number is written and shown.  least: the smallest value that makes sense.  env: the variable that sets
    it (every option also has BOXFS_OPT_NAME).  flag: the long option of `boxfs mount` besides `-o name=value`.
    live: a running mount takes a changed value from the file.  secret: never printed.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "group": group,
            "unit": unit,
            "choices": choices,
            "least": least,
            "env": env,
            "flag": flag,
            "live": live,
            "secret": secret,
        },
    )


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option, as help texts and parsers need it.  type: without None."""

    name: str
    type: type
    default: Any
    help: str
    group: Group
    unit: Unit
    choices: tuple[str, ...]
    least: float | None
    env: tuple[str, ...]
    flag: str | None
    live: bool
    secret: bool

    @property
    def spelled(self) -> str:
        """As `-o` has it: "settle=SECONDS", "ro"."""
        if self.type is bool:
            return self.name
        if self.choices:
            return f"{self.name}={'|'.join(self.choices)}"
        word = {"bytes": "SIZE", "seconds": "SECONDS", "octal": "OCTAL"}.get(self.unit, "")
        return f"{self.name}={word or {int: 'NUMBER', Path: 'PATH', tuple: 'NAME:NAME'}.get(self.type, 'TEXT')}"

    def parse(self, text: str) -> Any:
        """Return the value that `text` means.  Raises OptionError."""
        try:
            value = self._parse(text)
        except ValueError as error:
            raise OptionError(f"{self.name}: {error}") from None
        if self.choices and value not in self.choices:
            raise OptionError(f"{self.name}: {text!r} is not one of {', '.join(self.choices)}")
        if self.least is not None and value < self.least:
            raise OptionError(f"{self.name}: {text} is less than {self.least:g}")
        return value

    def _parse(self, text: str) -> Any:
        if self.type is bool:
            return parse_bool(text)
        if self.unit == "bytes":
            return parse_size(text)
        if self.unit == "seconds":
            return parse_seconds(text)
        if self.unit == "octal":
            return parse_octal(text)
        if self.type is int:
            try:
                return int(text)
            except ValueError:
                raise ValueError(f"{text!r} is not a whole number") from None
        if self.type is tuple:
            return tuple(name for name in text.split(":") if name)
        if self.type is Path:
            return Path(text)
        return text

    def show(self, value: Any) -> str:
        """Return the value as a person would write it; a secret is masked."""
        if self.secret and value:
            return "(set)"
        if value is None or value == "" or value == ():
            return "-"
        if self.type is bool:
            return "yes" if value else "no"
        if self.unit == "bytes":
            return format_size(value)
        if self.unit == "seconds":
            return f"{value:g} s"
        if self.unit == "octal":
            return f"{value:03o}"
        return ":".join(value) if self.type is tuple else str(value)
