"""The admin endpoint: someone else's acts, the dump of the tree, knobs and faults from a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess


def act(box: Box, **words: object) -> object:
    return box.call("POST", "/_emulator/act", json=words)


def test_someone_else_makes_uploads_edits_renames_moves_and_deletes(box: Box) -> None:
    act(box, do="mkdir", path="/a/b")
    act(box, do="upload", path="/a/b/f", content="one")
    number = box.find("/a/b/f")["id"]
    act(box, do="edit", path="/a/b/f", content="two")
    act(box, do="edit", path="/a/b/f", append=" more")
    act(box, do="rename", path="/a/b/f", name="g")
    act(box, do="move", path="/a/b/g", to="/h")
    assert (box.find("/h")["id"], box.read("/h")) == (number, b"two more")
    act(box, do="copy", path="/h", to="/a/i")
    act(box, do="delete", path="/a")
    assert list(box.tree()) == ["/h"]
    act(box, do="restore", name="a")
    assert sorted(box.tree()) == ["/a", "/a/b", "/a/i", "/h"]
    act(box, do="lock", path="/h")
    assert box.file("/h", "lock")["lock"]["created_by"]["login"] == "ada@example.com"
    act(box, do="unlock", path="/h")
    act(box, do="delete", path="/h")
    act(box, do="purge", name="h")
    assert box.trash() == []


def test_someone_else_is_a_named_user_with_that_users_rights(box: Box) -> None:
    act(box, do="upload", user="bob@example.com", path="/mine", content="x")
    assert list(box.tree("bob@example.com")) == ["/mine"]
    assert box.tree() == {}
    act(box, do="mkdir", path="/S")
    act(box, do="invite", path="/S", login="bob@example.com", role="viewer")
    refused = box.ask("POST", "/_emulator/act", json={"do": "upload", "user": "Bob", "path": "/S/f", "content": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "access_denied_insufficient_permissions")
    assert box.ask("POST", "/_emulator/act", json={"do": "mkdir", "user": "eve", "path": "/x"}).status_code == 404
    assert box.ask("POST", "/_emulator/act", json={"do": "dance"}).status_code == 400


def test_someone_elses_acts_make_events_and_no_log_and_pass_faults(box: Box) -> None:
    box.fault(do="status", path=".", times=None)
    box.clear_log()
    act(box, do="upload", path="/f", content="x")
    assert box.calls() == {}
    box.call("DELETE", "/_emulator/faults")
    events = box.call("GET", "/2.0/events?stream_position=0")["entries"]
    assert [(e["event_type"], e["source"]["name"]) for e in events] == [("ITEM_UPLOAD", "f")]


def test_raw_bytes_can_be_put_and_read(box: Box) -> None:
    content = bytes(range(256)) * 100
    reply = box.ask("POST", "/_emulator/act?do=upload&path=/f", data=content)
    assert reply.json()["sha1"] == hashlib.sha1(content).hexdigest()
    assert box.ask("GET", "/_emulator/file?path=/f").content == content


def test_tree_names_everything_with_its_sha1(box: Box) -> None:
    box.mkdir("/a")
    box.upload("/a/f", b"hello")
    box.upload("/gone", b"x")
    box.delete("/gone")
    dump = box.call("GET", "/_emulator/tree")
    assert dump["items"]["/a/f"]["sha1"] == hashlib.sha1(b"hello").hexdigest()
    assert dump["items"]["/a"]["type"] == "folder"
    assert [e["name"] for e in dump["trash"]] == ["gone"]


def test_knobs_are_checked_all_or_nothing(box: Box) -> None:
    before = box.call("GET", "/_emulator/settings")
    for bad in ({"latency_s": 1.0, "nonsense": 1}, {"latency_s": "soon"}, {"latency_s": 0.5, "part_size": "x"}):
        assert box.ask("PUT", "/_emulator/settings", json=bad).status_code == 400
    assert box.call("GET", "/_emulator/settings") == before


def test_a_developer_token_can_be_made_for_a_while(box: Box) -> None:
    made = box.call("POST", "/_emulator/tokens", json={"user": "bob@example.com", "life_s": 60})
    bob = box.as_user(made["access_token"])
    assert bob.me()["login"] == "bob@example.com"
    box.settings(clock_offset_s=61.0)
    assert bob.ask("GET", "/2.0/users/me").status_code == 401
    bob.close()


SETTINGS = {
    "toml": 'part_size = 65536\n[[faults]]\ndo = "status"\nstatus = 500\npath = "/users/me"\ntimes = 1\n',
    "json": json.dumps({"part_size": 65536, "faults": [{"do": "status", "status": 500, "path": "/users/me"}]}),
}


@pytest.mark.parametrize("form", ["toml", "json"])
def test_knobs_and_faults_come_from_a_file_and_the_command_line(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"knobs.{form}"
    path.write_text(SETTINGS[form])
    arguments = ["--settings", str(path), "--set", "quota_unknown=1"]
    with pytest.raises(RuntimeError, match="quota_unknown"):
        EmulatorProcess(tmp_path / "data", arguments).start()
    arguments = ["--settings", str(path), "--set", "latency_s=0.01", "--fault", '{"do": "status", "status": 502}']
    with EmulatorProcess(tmp_path / "data", arguments) as emulator:
        box = Box(emulator.url)
        knobs = box.call("GET", "/_emulator/settings")
        assert (knobs["part_size"], knobs["latency_s"]) == (65536, 0.01)
        assert [box.ask("GET", "/2.0/users/me").status_code for _ in range(3)] == [500, 502, 200]
        box.settings(part_size=1)
        box.reset()
        assert box.call("GET", "/_emulator/settings")["part_size"] == 65536
        box.close()
