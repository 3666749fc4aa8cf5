"""Options: declared once, read from every source with the same checks."""

from pathlib import Path

import pytest

from boxfs.base.config import GROUPS, OptionError, Options, build, find, parse_mount_options, table
from boxfs.base.units import format_seconds, format_size, parse_octal, parse_seconds, parse_size


def test_every_option_has_help_a_group_and_a_default_that_its_own_checks_accept() -> None:
    for info in table().values():
        assert info.help, info.name
        assert info.group in GROUPS
        if info.choices:
            assert info.default in info.choices
        if info.least is not None and info.default is not None:
            assert info.default >= info.least


def test_later_sources_win_and_each_value_tells_where_it_came_from() -> None:
    settings = build(
        [
            ("config.toml", {"cache_size": "20G", "settle": 5, "cached-only": ["tracker", "tumblerd"]}),
            ("environment BOXFS_TOKEN", {"token": "t"}),
            ("-o", {"settle": "0"}),
        ]
    )
    assert settings.options.cache_size == 20 << 30
    assert settings.options.settle == 0
    assert settings.options.cached_only == ("tracker", "tumblerd")
    assert settings.origins["settle"] == "-o"
    assert settings.origins["cache_size"] == "config.toml"
    assert settings.origins["uid"] == "default"


def test_mount_options_are_read_as_mount_writes_them() -> None:
    given = parse_mount_options(["rw,noatime,_netdev,x-systemd.automount,allow_other", "uid=1000,fsname=a\\,b,noexec"])
    assert given == {"ro": "no", "allow_other": "yes", "uid": "1000", "fsname": "a,b", "kernel": "noatime:noexec"}
    options = build([("-o", given)]).options
    assert options.kernel == ("noatime", "noexec")
    assert options.uid == 1000


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("alow_other", "unknown option 'alow_other' (did you mean allow_other?)"),
        ("zzz", "unknown option 'zzz' (`boxfs mount --help` lists them)"),
        ("uid", "uid: a value is missing (uid=NUMBER)"),
    ],
)
def test_an_option_that_does_not_exist_is_one_clear_line(word: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_mount_options([word])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "given",
    [
        {"settle": "soon"}, {"cache_size": "10X"}, {"umask": "9"}, {"fsync": "never"}, {"uploads": "0"},
        {"uid": "-1"}, {"ro": "perhaps"}, {"settle": "-1"}, {"allow_root": "yes", "allow_other": "yes"},
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_names_its_option(given: dict[str, str]) -> None:
    with pytest.raises(OptionError) as caught:
        build([("-o", given)])
    assert next(iter(given)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_only_the_api_is_named_it_serves_uploads_too() -> None:
    assert Options().endpoints() == ("https://api.box.com", "https://upload.box.com")
    assert Options(api_url="http://localhost:1/").endpoints() == ("http://localhost:1", "http://localhost:1")
    assert Options(api_url="http://a", upload_url="http://b/").endpoints() == ("http://a", "http://b")


def test_masks_of_files_and_folders_fall_back_to_umask() -> None:
    assert Options(umask=0o077).masks() == (0o077, 0o077)
    assert Options(fmask=0o133, dmask=0).masks() == (0o133, 0)


def test_a_secret_is_never_shown() -> None:
    assert find("token").show("abc") == "(set)"
    assert find("token").show("") == "-"


def test_values_are_shown_as_people_write_them() -> None:
    assert find("cache_size").show(10 << 30) == "10.0 GiB"
    assert find("umask").show(0o22) == "022"
    assert find("settle").show(2.0) == "2 s"
    assert find("cache_dir").show(None) == "-"
    assert find("cache_dir").parse("/x") == Path("/x")
    assert find("ro").show(True) == "yes"


def test_units() -> None:
    assert parse_size("1.5 MiB") == 3 << 19
    assert parse_size("7") == parse_size("7b") == 7
    assert parse_size("64kb") == 65536
    assert parse_seconds("200ms") == pytest.approx(0.2)
    assert parse_seconds("5m") == 300
    assert parse_octal("022") == 0o22
    assert format_size(1536) == "1.5 KiB"
    assert format_size(12) == "12 B"
    assert [format_seconds(s) for s in (0.35, 12, 300, 7200, 500_000)] == ["350 ms", "12 s", "5 min", "2 h", "6 d"]
