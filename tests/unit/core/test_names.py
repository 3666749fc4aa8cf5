from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxfs.base.errors import InvalidName, NameTooLong
from boxfs.core import names

# Names as Linux allows them: any bytes but "/" and NUL.
LINUX = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text(min_size=1, max_size=20).map(lambda name: name.encode("utf-8", "surrogatepass")),
    st.text(alphabet="a\\ \x01\x7f␁␡␠␀＼／‛．.~128FEé\x1f", min_size=1, max_size=12).map(str.encode),
).filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b".."))


@given(LINUX, st.integers(0, 12))
def test_every_linux_name_comes_back_and_box_takes_what_is_sent(raw: bytes, mark: int) -> None:
    name = os.fsdecode(raw)
    boxed = names.to_box(name)
    boxed.encode()  # valid Unicode
    assert boxed
    assert boxed not in (".", "..")
    assert not boxed.endswith(" ")
    assert not any(char in "/\\" or char < " " or char == "\x7f" for char in boxed)
    assert names.to_local(boxed) == name


@pytest.mark.parametrize(
    ("name", "at_box"),
    [
        ("plain ü.txt", "plain ü.txt"),
        ("a\\b", "a＼b"),
        ("end ", "end␠"),
        (" start", " start"),
        ("\t", "␉"),
        ("\x7f", "␡"),
        ("＼", "‛＼"),
        ("a␠", "a‛␠"),
        ("␠a", "␠a"),
        ("‛", "‛‛"),
        (os.fsdecode(b"x\xff"), "x‛FF"),
        ("．", "．"),
        ("a／b", "a／b"),
    ],
)
def test_names_are_written_as_rclone_writes_them(name: str, at_box: str) -> None:
    assert names.to_box(name) == at_box
    assert names.to_local(at_box) == name


def test_a_mark_tells_names_apart_and_is_not_shown() -> None:
    assert names.to_box("read.me", 2) == "read‛~2.me"
    assert names.to_box(".profile", 1) == ".profile‛~1"
    for name in ("read.me", "Makefile", ".profile", "a.b.c"):
        assert names.to_local(names.to_box(name, 3)) == name
        assert names.mark_of(names.to_box(name, 3)) == 3


def test_names_that_cannot_be_made_are_refused() -> None:
    for name in ("x" * 256, "ü" * 128, "\\" * 90 + "␡" * 83):
        with pytest.raises(NameTooLong):
            names.check(name)
    for name in ("", ".", "..", "a/b", "a\0"):
        with pytest.raises(InvalidName):
            names.check(name)
    names.check("x" * 255)


def test_folding_is_that_of_box() -> None:
    assert names.fold("README") == names.fold("readme")
    assert names.fold("ﬁle") == names.fold("FILE")
    assert names.fold("é") == names.fold("É")
