"""The emulator's web page, used by a headless browser as a person uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.browser import Browser

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(box: Box, tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "profile")
    try:
        made.open(box.url + "/")
        made.wait("document.body && document.body.dataset.ready === 'yes'")
        yield made
        assert made.errors == []
    finally:
        made.close()


def click(browser: Browser, label: str) -> None:
    button = f"document.querySelector('[aria-label=\"{label}\"]')"
    browser.wait(f"!!{button}")
    browser.run(f"{button}.click()")


def rows(browser: Browser, part: str = "tree") -> list[str]:
    return list(browser.run(f"[...document.querySelectorAll('#{part} .row')].map(row => row.dataset.path)"))


def test_a_person_works_on_the_account_in_the_browser(box: Box, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    browser.choose_files("#upload", tmp_path / "hello.txt")
    browser.wait("!!document.querySelector('[data-path=\"/hello.txt\"]')")
    assert box.read("/hello.txt") == b"hello"

    browser.run("window.prompt = () => 'Größe & more.txt'; 0")
    click(browser, "Rename /hello.txt")
    browser.wait("!!document.querySelector('[data-path=\"/Größe & more.txt\"]')")
    assert box.exists("/Größe & more.txt")

    click(browser, "Edit /Größe & more.txt")
    browser.wait("document.getElementById('editor').open && document.getElementById('text').value === 'hello'")
    browser.run("document.getElementById('text').value = 'changed'; document.getElementById('save').click()")
    browser.wait("document.getElementById('status').textContent.startsWith('Uploaded')")
    assert box.read("/Größe & more.txt") == b"changed"

    box.makedirs("/from/elsewhere")  # the page shows what others do, by itself
    browser.wait("!!document.querySelector('[data-path=\"/from/elsewhere\"]')")
    assert rows(browser) == ["/Größe & more.txt", "/from", "/from/elsewhere"]

    click(browser, "Delete /from")
    browser.wait("!document.querySelector('[data-path=\"/from\"]')")
    assert not box.exists("/from")
    assert rows(browser, "trash") == ["from"]
    click(browser, "Restore from")
    browser.wait("!!document.querySelector('[data-path=\"/from/elsewhere\"]')")

    browser.run("window.prompt = () => 'a/b'; document.getElementById('newfolder').click()")
    browser.wait("!!document.querySelector('[data-path=\"/a/b\"]')")


def test_the_page_says_what_went_wrong_and_shows_other_users(box: Box, browser: Browser) -> None:
    box.mkdir("/a")
    box.mkdir("/b")
    browser.run("window.prompt = () => 'B'; 0")
    click(browser, "Rename /a")
    browser.wait("document.getElementById('status').className === 'bad'")
    assert "already exists" in browser.run("document.getElementById('status').textContent")
    browser.run(
        "{ const users = document.getElementById('user');"
        " users.value = [...users.options].find(o => o.text.startsWith('Bob')).value;"
        " users.dispatchEvent(new Event('change')); 0 }"
    )
    browser.wait("document.getElementById('tree').textContent.includes('Nothing here yet')")


def test_the_page_and_the_admin_endpoint_are_for_this_machine_only(box: Box) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        for method, path in (
            ("GET", "/"),
            ("GET", "/_emulator/tree"),
            ("POST", "/_emulator/act"),
            ("POST", "/_emulator/reset"),
        ):
            assert box.ask(method, path, headers=headers).status_code == 403
