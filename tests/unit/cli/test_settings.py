"""Where a mount's options come from, and what happens where one of the sources is wrong."""

from pathlib import Path

import pytest

from boxfs.base.option import OptionError
from boxfs.cli import settings
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.mount import request_of
from boxfs.cli.remote import parse_remote


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("BOXFS_CONFIG", str(path))
    for name in ("BOXFS_API_URL", "BOXFS_UPLOAD_URL", "BOXFS_TOKEN", "BOXFS_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_the_more_special_source_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        '[defaults]\nsettle = 5\nuploads = 2\ncache_size = "1G"\numask = "077"\n'
        '[accounts.work]\nuploads = 3\n[mounts."/mnt/team"]\nremote = "work:/Team"\ncache_size = "2G"\n'
    )
    monkeypatch.setenv("BOXFS_OPT_UMASK", "027")
    request = request_of("/mnt/team", None, ("settle=1",), {})
    assert str(request.remote) == "work:/Team"
    options = request.options
    assert (options.settle, options.uploads, options.cache_size, options.umask) == (1, 3, 2 << 30, 0o027)
    assert request.settings.origins["umask"] == "environment BOXFS_OPT_UMASK"
    assert request.settings.origins["uploads"].endswith('[accounts."work"]')


def test_flags_beat_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXFS_API_URL", "http://a")
    assert request_of("box:", "/m", (), {"api_url": "http://b"}).options.endpoints() == ("http://b", "http://b")
    assert request_of("box:", "/m", (), {"api_url": None}).options.endpoints() == ("http://a", "http://a")


def test_two_remotes_have_two_cache_folders_and_one_keeps_its_own(file: Path) -> None:
    first, second, again = (request_of(remote, "/m", (), {}).cache_dir for remote in ("box:/A", "box:/B", "box:A/"))
    assert first != second
    assert first == again


@pytest.mark.parametrize(
    "text", ["[default]\n", "[defaults]\nsettel = 1\n", "[defaults]\nsettle = 'soon'\n", "settle = 1\n", "[defaults\n"]
)
def test_a_wrong_file_is_one_line_that_names_it(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(CliError) as caught:
        settings.gather("box", None)
    assert caught.value.code == Exit.CONFIG
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_word_on_the_command_line_is_an_option_error(file: Path) -> None:
    with pytest.raises(OptionError):
        settings.gather("box", None, ["settle"])


def test_remotes() -> None:
    assert str(parse_remote("box:")) == "box:/"
    assert str(parse_remote("work:/A//B c/")) == "work:/A/B c"
    for wrong in ("box", "/mnt", ":", "a b:", "box:/../x"):
        with pytest.raises(CliError) as caught:
            parse_remote(wrong)
        assert caught.value.code == Exit.USAGE
