"""Man pages, option lists and completions come from the tables, and are well formed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from boxfs.base.config import table
from boxfs.cli import manual, service
from boxfs.cli.main import COMMANDS, cli
from boxfs.cli.mount import options_help

_ROOT = Path(__file__).parents[3]


def test_every_command_can_be_loaded_and_says_what_it_does() -> None:
    for name, (_, line) in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        assert command.help, name
        assert command.get_short_help_str(limit=200).rstrip(".") == line.rstrip("."), name


def test_no_line_of_a_list_of_commands_is_cut_short() -> None:
    for name in COMMANDS:
        group = cli.get_command(click.Context(cli), name)
        if isinstance(group, click.Group):
            told = group.get_help(click.Context(group, info_name=name)).partition("Commands:")[2]
            assert "..." not in told, told


@pytest.mark.parametrize("name", manual.PAGES)
def test_every_option_is_in_the_man_page(name: str) -> None:
    page = manual.page(name)
    for info in table().values():
        assert info.spelled.replace("-", "\\-") in page


def test_every_option_is_in_the_help_and_nowhere_is_a_default_secret() -> None:
    for info in table().values():
        assert info.spelled in options_help()


def test_the_list_of_options_in_the_docs_is_the_table() -> None:
    assert (_ROOT / "docs" / "OPTIONS.md").read_text() == manual.options_document()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", manual.PAGES)
def test_groff_has_nothing_to_say_about_the_man_pages(name: str) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-Kutf8"],
        input=manual.page(name),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "MOUNT" in done.stdout or "REMOTE" in done.stdout


def test_a_shell_completes_commands() -> None:
    environ = {**os.environ, "_BOXFS_COMPLETE": "bash_complete", "COMP_WORDS": "boxfs um", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "boxfs"], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,umount\n"


def test_the_unit_is_filled_with_the_program_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = service.filled(service.unit_text(service.UNIT), "/opt/x/bin/boxfs")
    assert "ExecStart=/opt/x/bin/boxfs mount --foreground %i: %h/Box/%i" in text
    assert "/usr/bin/boxfs" not in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    # What is not installed here (the program, the man pages) is no fault of the unit.
    program = tmp_path / "boxfs"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = []
    for unit in sorted((_ROOT / "systemd").iterdir()):
        name = unit.name.replace("@.", "@mnt-x.")
        text = service.filled(unit.read_text(), str(program))
        copy = tmp_path / name
        copy.write_text("".join(line for line in text.splitlines(True) if not line.startswith("Documentation=")))
        units.append(str(copy))
    assert len(units) == 4
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "boxfs" in line or "mnt-team" in line]
    assert ours == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("boxfs mount -o ro,allow_o", "ro,allow_other"),
        ("boxfs mount -o fsync=b", "fsync=box"),
        ("boxfs mount wo", "work:"),
        ("boxfs whoami wo", "work"),
        ("boxfs umount /m", "dir,/m"),
    ],
)
def test_a_shell_completes_what_an_argument_can_be(tmp_path: Path, words: str, offered: str) -> None:
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "work.json").write_text("{}")
    environ = {
        **os.environ,
        "BOXFS_CONFIG": str(tmp_path / "config.toml"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "_BOXFS_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run([sys.executable, "-m", "boxfs"], env=environ, capture_output=True, text=True, check=False)
    assert offered in [line.removeprefix("plain,") for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("unit", ["boxfs@.service", "boxfs-system@.service"])
def test_a_unit_comes_up_again_after_a_kill_9_and_needs_no_package_for_its_reload(unit: str) -> None:
    """Both failed on a clean Debian (scripts/drill-debian): mkdir at the dead mount, and /bin/kill is of procps."""
    text = (_ROOT / "systemd" / unit).read_text()
    assert "ExecStartPre=-/bin/mkdir" in text
    assert "=/bin/kill" not in text
