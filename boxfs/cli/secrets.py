"""Secrets leave the command line before anybody can read them there with ps.

What stands in argv is readable by every user of the machine; the environment of a process only by its owner.  So a
`--token` (or `-o token=`) is moved into the environment and the program starts again without it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from boxfs.base.config import table

_IN_LIST = re.compile(r"(?:^|(?<=,))(" + "|".join(i.name for i in table().values() if i.secret) + r")=((?:\\,|[^,])*)")


def split_secrets(args: list[str], environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments without secrets, and the environment variables that carry them instead."""
    variables = {info.name: info.env[0] for info in table().values() if info.secret}
    flags = {info.flag: info.env[0] for info in table().values() if info.secret and info.flag}
    kept: list[str] = []
    found: dict[str, str] = {}
    login_flag: list[str] = []
    rest = iter(args)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            kept += [word, *rest]
            break
        if name in flags and args[0] == "login":
            # There the flag says which way in; it stays, at the end, where it has no value to take.  With the token in
            # the environment already, what follows is the account's name.
            secret = value if equals else "" if flags[name] in environ else next(rest, "")
            found |= {flags[name]: secret} if secret else {}
            login_flag = [name]
        elif name in flags:
            found[flags[name]] = value if equals else next(rest, "")
        elif word in ("-o", "--options"):
            kept += [word, _without(next(rest, ""), variables, found)]
        elif word.startswith("-o"):
            kept.append("-o" + _without(word[2:].removeprefix("="), variables, found))
        else:
            kept.append(word)
    return kept + login_flag, found


def _without(words: str, variables: dict[str, str], found: dict[str, str]) -> str:
    for name, value in _IN_LIST.findall(words):
        found[variables[name]] = value.replace("\\,", ",")
    return ",".join(part for part in re.split(r"(?<!\\),", _IN_LIST.sub("", words)) if part)


def hide_secrets(argv: list[str]) -> None:
    """Start again without the secrets of `argv`; returns where there are none."""
    kept, found = split_secrets(argv[1:], os.environ)
    if found:
        module = ["-m", "boxfs.cli.mount_helper" if "mount.boxfs" in argv[0] or "mount_helper" in argv[0] else "boxfs"]
        os.execve(sys.executable, [sys.executable, *module, *kept], {**os.environ, **found})
