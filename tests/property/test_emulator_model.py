"""Random calls to the emulator against a small model of the tree: same replies, same tree, also after a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.box import Box, EmulatorProcess
from tests.support.boxmodel import ROOT, Model, Reply, Snapshot, Thing, Wrong

NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "ä",
        "a\u0308",
        "Ａ",
        "c.txt",
        "straße",
        "STRASSE",
        "x" * 255,
        " lead",
        "",
        "a/b",
        "a\nb",
        "x ",
        "..",
    ]
)
BYTES = (b"", b"one", b"two", b"\r\n--boundary--\r\n", bytes(70_000))
CONTENTS = st.integers(0, len(BYTES) - 1)
PLACES = st.integers(0, 8)  # which of the things made so far; see Run.place
ETAGS = st.sampled_from([None, None, None, "current", "99"])

CALLS = st.one_of(
    st.tuples(st.just("mkdir"), PLACES, NAMES),
    st.tuples(st.just("mkdir"), PLACES, NAMES),
    st.tuples(st.just("upload"), PLACES, NAMES, CONTENTS),
    st.tuples(st.just("upload"), PLACES, NAMES, CONTENTS),
    st.tuples(st.just("version"), PLACES, CONTENTS, ETAGS),
    st.tuples(st.just("update"), PLACES, st.none() | NAMES, st.none() | PLACES, ETAGS),
    st.tuples(st.just("update"), PLACES, st.none() | NAMES, st.none() | PLACES, ETAGS),
    st.tuples(st.just("delete"), PLACES, st.booleans(), ETAGS),
    st.tuples(st.just("restore"), PLACES, st.none() | NAMES, st.none() | PLACES),
    st.tuples(st.just("purge"), PLACES),
    st.tuples(st.just("copy"), PLACES, PLACES, st.none() | NAMES),
    st.tuples(st.just("get"), PLACES),
    st.tuples(st.just("list"), PLACES),
)


class Run:
    """One sequence of calls, made to the server and to the model."""

    def __init__(self, box: Box) -> None:
        self.box, self.model = box, Model()
        self.made: list[tuple[str, str]] = []  # everything that was ever made, purged things too
        box.reset()

    def thing(self, place: int) -> tuple[str, str]:
        """(kind, id) of one of the things made; of one that never was, where there is none."""
        return self.made[-1 - place % len(self.made)] if self.made else ("file", "7")

    def folder(self, place: int) -> str:
        """Id of one of the folders made, or of the root."""
        folders = [ROOT, *(number for kind, number in self.made if kind == "folder")]
        return folders[place % len(folders)]

    def etag(self, kind: str, number: str, choice: str | None) -> str | None:
        thing = self.model.things.get((kind, number))
        return str(thing.etag) if choice == "current" and thing else choice

    def call(self, what: str, *arguments: Any) -> None:
        expected, reply = getattr(self, what)(*arguments)
        told = reply.json() if reply.content else {}
        assert (reply.status_code, told.get("code")) == (expected.status, expected.code), (what, arguments, told)
        if expected.names is not None:
            assert [(entry["type"], entry["name"]) for entry in told["entries"]] == expected.names
        if expected.item is not None:
            told = told["entries"][0] if "total_count" in told and "entries" in told else told
            self.compare(expected.item, told)

    def compare(self, thing: Thing, told: dict[str, Any]) -> None:
        if not thing.id:
            self.model.bind(thing, told["id"])
            self.made.append(thing.key)
            self.bind_copies(thing)
        shown = self.model.shown(thing)
        assert {key: told[key] for key in shown} == shown

    def bind_copies(self, copy: Thing) -> None:
        """A copied folder came with copies of all below: learn their ids from the server."""
        if copy.kind != "folder" or not self.copied:
            return
        source, self.copied = self.copied, None
        self.copy_below(source, copy.id)

    copied: Snapshot | None = None

    def copy_below(self, originals: Snapshot, target: str) -> None:
        ids = {entry["name"]: entry["id"] for entry in self.box.entries(target)}
        for original, below in originals:
            twin = Thing(original.kind, target, original.name, original.content)
            self.model.bind(twin, ids[original.name])
            self.made.append(twin.key)
            self.copy_below(below, twin.id)

    @staticmethod
    def guess(method: Any, *arguments: Any) -> Reply:
        try:
            return method(*arguments)  # type: ignore[no-any-return]
        except Wrong as wrong:
            return wrong.reply

    # Calls: (what the model says, what the server says)

    def mkdir(self, place: int, name: str) -> Any:
        parent = self.folder(place)
        body = {"name": name, "parent": {"id": parent}}
        return self.guess(self.model.mkdir, parent, name), self.box.ask("POST", "/2.0/folders", json=body)

    def send(self, path: str, attributes: dict[str, Any], content: bytes, etag: str | None = None) -> Any:
        form = [("attributes", (None, json.dumps(attributes))), ("file", ("unused", content))]
        return self.box.ask("POST", path, files=form, headers={"If-Match": etag} if etag else {})

    def upload(self, place: int, name: str, which: int) -> Any:
        content = BYTES[which]
        parent = self.folder(place)
        attributes = {"name": name, "parent": {"id": parent}}
        reply = self.send("/api/2.0/files/content", attributes, content)
        return self.guess(self.model.upload, parent, name, content), reply

    def version(self, place: int, which: int, choice: str | None) -> Any:
        content = BYTES[which]
        number = self.thing(place)[1]  # of a folder too: then there may be no file of that number
        etag = self.etag("file", number, choice)
        reply = self.send(f"/api/2.0/files/{number}/content", {}, content, etag)
        return self.guess(self.model.version, number, content, etag), reply

    def update(self, place: int, name: str | None, target: int | None, choice: str | None) -> Any:
        kind, number = self.thing(place)
        parent = None if target is None else self.folder(target)
        etag = self.etag(kind, number, choice)
        body: dict[str, Any] = {} if name is None else {"name": name}
        body |= {} if parent is None else {"parent": {"id": parent}}
        headers = {"If-Match": etag} if etag else {}
        reply = self.box.ask("PUT", f"/2.0/{kind}s/{number}", json=body, headers=headers)
        return self.guess(self.model.update, kind, number, name, parent, etag), reply

    def delete(self, place: int, recursive: bool, choice: str | None) -> Any:
        kind, number = self.thing(place)
        etag = self.etag(kind, number, choice)
        query = {"recursive": str(recursive).lower()}
        headers = {"If-Match": etag} if etag else {}
        reply = self.box.ask("DELETE", f"/2.0/{kind}s/{number}", params=query, headers=headers)
        return self.guess(self.model.delete, kind, number, recursive, etag), reply

    def restore(self, place: int, name: str | None, target: int | None) -> Any:
        kind, number = self.thing(place)
        parent = None if target is None else self.folder(target)
        body: dict[str, Any] = {"name": name} if name else {}
        body |= {} if parent is None else {"parent": {"id": parent}}
        reply = self.box.ask("POST", f"/2.0/{kind}s/{number}", json=body)
        return self.guess(self.model.restore, kind, number, name or None, parent), reply

    def purge(self, place: int) -> Any:
        kind, number = self.thing(place)
        reply = self.box.ask("DELETE", f"/2.0/{kind}s/{number}/trash")
        return self.guess(self.model.purge, kind, number), reply

    def copy(self, place: int, target: int, name: str | None) -> Any:
        kind, number = self.thing(place)
        parent = self.folder(target)
        self.copied = self.model.snapshot(number) if kind == "folder" else None
        expected = self.guess(self.model.copy, kind, number, parent, name or None)
        if expected.status != 201:
            self.copied = None
        body: dict[str, Any] = {"parent": {"id": parent}} | ({"name": name} if name else {})
        return expected, self.box.ask("POST", f"/2.0/{kind}s/{number}/copy", json=body)

    def get(self, place: int) -> Any:
        kind, number = self.thing(place)
        return self.guess(self.model.get, kind, number), self.box.ask("GET", f"/2.0/{kind}s/{number}")

    def list(self, place: int) -> Any:
        folder = self.folder(place)
        return self.guess(self.model.list, folder), self.box.ask("GET", f"/2.0/folders/{folder}/items")

    def compare_all(self) -> None:
        tree = {path: tuple(entry) for path, entry in self.box.tree().items()}
        assert tree == self.model.tree()
        assert {(entry["type"], entry["id"]) for entry in self.box.trash()} == self.model.trash()
        assert self.box.me()["space_used"] == self.model.space_used()
        assert self.box.get("folder", ROOT, "size")["size"] == sum(len(t.content) for t in self.model.below(ROOT))


@pytest.fixture(scope="module")
def client(emulator: EmulatorProcess) -> Any:
    box = Box(emulator.url)
    yield box
    box.close()


@settings(max_examples=60)
@given(calls=st.lists(CALLS, min_size=10, max_size=40))
def test_random_calls_are_answered_as_the_model_says(client: Box, calls: list[tuple[Any, ...]]) -> None:
    run = Run(client)
    for call in calls:
        run.call(*call)
    run.compare_all()


@settings(max_examples=4)
@given(calls=st.lists(CALLS, min_size=40, max_size=60), more=st.lists(CALLS, min_size=20, max_size=20))
def test_kill_9_changes_no_answer(
    client: Box, emulator: EmulatorProcess, calls: list[tuple[Any, ...]], more: list[tuple[Any, ...]]
) -> None:
    run = Run(client)
    for call in calls:
        run.call(*call)
    emulator.restart()
    run.compare_all()
    for call in more:
        run.call(*call)
    run.compare_all()
