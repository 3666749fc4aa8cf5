"""Shared links, collaborations and groups, seen from several accounts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.box import OTHER_TOKEN, Box


@pytest.fixture
def bob(box: Box) -> Iterator[Box]:
    client = box.as_user(OTHER_TOKEN)
    yield client
    client.close()


def invite(box: Box, item: dict[str, Any], role: str, who: dict[str, str] | None = None) -> dict[str, Any]:
    return dict(box.call("POST", "/2.0/collaborations", json={
        "item": {"type": item["type"], "id": item["id"]},
        "accessible_by": who or {"type": "user", "login": "bob@example.com"},
        "role": role,
    }))  # fmt: skip


def event_types(box: Box, since: int = 0) -> list[str]:
    found = box.call("GET", "/2.0/events", params={"stream_position": since, "limit": 500})["entries"]
    return [event["event_type"] for event in found]


# Collaborations


def test_trap_29_no_access_looks_like_absence(box: Box, bob: Box) -> None:
    folder, file = box.mkdir("/Private"), box.upload("/secret", b"x")
    for path in (f"/2.0/folders/{folder}", f"/2.0/files/{file['id']}", f"/2.0/files/{file['id']}/content"):
        assert (bob.ask("GET", path).status_code, bob.ask("GET", path).json()["code"]) == (404, "not_found")
    assert bob.ask("DELETE", f"/2.0/files/{file['id']}").status_code == 404


def test_collaborated_folder_appears_in_the_root_with_its_id(box: Box, bob: Box) -> None:
    box.mkdir("/Top")
    folder = box.mkdir("/Top/Shared")
    box.upload("/Top/Shared/a", b"hello")
    made = invite(box, box.find("/Top/Shared"), "editor")
    assert (made["status"], made["role"], made["accessible_by"]["login"]) == ("accepted", "editor", "bob@example.com")
    assert [(e["name"], e["id"]) for e in bob.entries()] == [("Shared", folder)]
    seen = bob.get("folder", folder)
    assert seen["parent"]["id"] == "0"
    assert [e["id"] for e in seen["path_collection"]["entries"]] == ["0"]
    assert seen["owned_by"]["login"] == "ada@example.com"
    assert bob.read("/Shared/a") == b"hello"
    bob.new_version("/Shared/a", b"by bob")
    bob.upload("/Shared/b", b"new")
    assert box.read("/Top/Shared/a") == b"by bob"
    assert box.file("/Top/Shared/b", "owned_by,created_by")["owned_by"]["login"] == "ada@example.com"
    assert box.file("/Top/Shared/b", "created_by")["created_by"]["login"] == "bob@example.com"
    assert "/Shared/a" in bob.tree("bob@example.com")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", {"download"}),
        ("previewer", set()),
        ("uploader", {"upload"}),
        ("viewer uploader", {"download", "upload"}),
        ("editor", {"download", "upload", "rename", "delete"}),
        ("co-owner", {"download", "upload", "rename", "delete", "invite"}),
    ],
)
def test_roles_are_rights(box: Box, bob: Box, role: str, may: set[str]) -> None:
    folder = box.mkdir("/S")
    file = box.upload("/S/a", b"hello")["id"]
    invite(box, box.find("/S"), role)
    done = {
        "download": bob.ask("GET", f"/2.0/files/{file}/content").status_code == 200,
        "upload": bob.ask("POST", "/2.0/folders", json={"name": "n", "parent": {"id": folder}}).status_code == 201,
        "rename": bob.ask("PUT", f"/2.0/files/{file}", json={"name": "b"}).status_code == 200,
        "delete": bob.ask("DELETE", f"/2.0/files/{file}").status_code == 204,
        "invite": bob.ask("PUT", f"/2.0/folders/{folder}?fields=permissions", json={}).json()["permissions"][
            "can_set_share_access"
        ],
    }
    assert {name for name, ok in done.items() if ok} == may


def test_a_right_that_is_missing_is_403_and_permissions_say_so(box: Box, bob: Box) -> None:
    box.mkdir("/S")
    file = box.upload("/S/a", b"hello")["id"]
    invite(box, box.find("/S"), "viewer")
    rights = bob.get("file", file, "permissions")["permissions"]
    assert (rights["can_download"], rights["can_upload"], rights["can_delete"]) == (True, False, False)
    refused = bob.ask("DELETE", f"/2.0/files/{file}")
    assert (refused.status_code, refused.json()["code"]) == (403, "access_denied_insufficient_permissions")


def test_a_lock_keeps_others_out_until_its_time_is_over(box: Box, bob: Box) -> None:
    box.mkdir("/S")
    file = box.upload("/S/a", b"hello")["id"]
    invite(box, box.find("/S"), "editor")
    ends = datetime.now(UTC) + timedelta(hours=1)
    lock = {"type": "lock", "expires_at": ends.isoformat(timespec="seconds"), "is_download_prevented": True}
    box.update("/S/a", lock=lock)
    for method, path, body in (
        ("PUT", f"/2.0/files/{file}", {"name": "b"}),
        ("DELETE", f"/2.0/files/{file}", None),
        ("GET", f"/2.0/files/{file}/content", None),
    ):
        refused = bob.ask(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "access_denied_item_locked")
    assert box.read("/S/a") == b"hello"
    box.settings(clock_offset_s=3601.0)
    assert bob.get("file", file, "lock")["lock"] is None
    assert bob.read("/S/a") == b"hello"
    assert bob.ask("DELETE", f"/2.0/files/{file}").status_code == 204


def test_collaboration_ends_and_events_tell_both(box: Box, bob: Box) -> None:
    folder = box.mkdir("/S")
    start = bob.call("GET", "/2.0/events", params={"stream_position": "now"})["next_stream_position"]
    made = invite(box, box.find("/S"), "editor")
    changed = box.call("PUT", f"/2.0/collaborations/{made['id']}", json={"role": "viewer"})
    assert changed["role"] == "viewer"
    listed = box.call("GET", f"/2.0/folders/{folder}/collaborations")["entries"]
    assert [(c["id"], c["role"]) for c in listed] == [(made["id"], "viewer")]
    assert box.get("folder", folder, "has_collaborations")["has_collaborations"] is True
    bob.call("DELETE", f"/2.0/collaborations/{made['id']}")  # leaving
    assert bob.entries() == []
    assert bob.ask("GET", f"/2.0/folders/{folder}").status_code == 404
    assert event_types(bob, start) == [
        "COLLAB_ADD_COLLABORATOR",
        "COLLAB_ROLE_CHANGE",
        "COLLAB_REMOVE_COLLABORATOR",
    ]
    assert "COLLAB_REMOVE_COLLABORATOR" in event_types(box)


def test_changes_inside_are_told_to_all_collaborators(box: Box, bob: Box) -> None:
    box.mkdir("/S")
    invite(box, box.find("/S"), "editor")
    start = bob.call("GET", "/2.0/events", params={"stream_position": "now"})["next_stream_position"]
    box.upload("/S/a", b"1")
    box.upload("/elsewhere", b"2")
    assert event_types(bob, start) == ["ITEM_UPLOAD"]


def test_collaboration_refusals(box: Box, bob: Box) -> None:
    root = box.ask("POST", "/2.0/collaborations", json={
        "item": {"type": "folder", "id": "0"}, "accessible_by": {"type": "user", "login": "bob@example.com"},
        "role": "editor"})  # fmt: skip
    assert (root.status_code, root.json()["code"]) == (400, "collaborations_not_available_on_root_folder")
    box.mkdir("/S")
    item = box.find("/S")
    made = invite(box, item, "editor")
    body = {"item": item, "accessible_by": {"type": "user", "login": "bob@example.com"}, "role": "editor"}
    again = box.ask("POST", "/2.0/collaborations", json=body)
    assert (again.status_code, again.json()["code"]) == (400, "user_already_collaborator")
    stranger = invite(box, item, "viewer", {"type": "user", "login": "eve@elsewhere.example"})
    assert (stranger["status"], stranger["invite_email"], stranger["item"]) == (
        "pending",
        "eve@elsewhere.example",
        None,
    )
    box.call("DELETE", f"/2.0/collaborations/{made['id']}")
    assert bob.ask("GET", f"/2.0/collaborations/{made['id']}").status_code == 404


def test_ownership_can_be_handed_over(box: Box, bob: Box) -> None:
    folder = box.mkdir("/S")
    box.upload("/S/a", b"12345")
    made = invite(box, box.find("/S"), "co-owner")
    assert box.ask("PUT", f"/2.0/collaborations/{made['id']}", json={"role": "owner"}).status_code == 204
    assert bob.get("folder", folder, "owned_by")["owned_by"]["login"] == "bob@example.com"
    assert (bob.me()["space_used"], box.me()["space_used"]) == (5, 0)
    assert box.read("/S/a") == b"12345"


def test_a_group_shares_with_its_members(box: Box, bob: Box) -> None:
    box.mkdir("/S")
    group = box.call("POST", "/2.0/groups", json={"name": "Team"})
    assert box.ask("POST", "/2.0/groups", json={"name": "team"}).status_code == 409
    invite(box, box.find("/S"), "viewer", {"type": "group", "id": group["id"]})
    assert bob.entries() == []
    joined = box.call("POST", "/2.0/group_memberships", json={
        "user": {"id": bob.me()["id"]}, "group": {"id": group["id"]}})  # fmt: skip
    assert [e["name"] for e in bob.entries()] == ["S"]
    assert box.call("GET", f"/2.0/groups/{group['id']}/memberships")["total_count"] == 1
    box.call("DELETE", f"/2.0/group_memberships/{joined['id']}")
    assert bob.entries() == []


# Shared links


def share(box: Box, path: str, **link: Any) -> dict[str, Any]:
    entry = box.find(path)
    reply = box.call("PUT", f"/2.0/{entry['type']}s/{entry['id']}?fields=shared_link", json={"shared_link": link})
    return dict(reply["shared_link"])


def test_shared_link_opens_the_item_and_its_children(box: Box, bob: Box) -> None:
    folder = box.mkdir("/S")
    file = box.upload("/S/a", b"hello")["id"]
    link = share(box, "/S")
    assert (link["access"], link["download_url"], link["is_password_enabled"]) == ("open", None, False)
    header = {"BoxApi": f"shared_link={link['url']}"}
    assert bob.ask("GET", "/2.0/shared_items", headers=header).json()["id"] == folder
    assert bob.ask("GET", f"/2.0/files/{file}/content", headers=header).content == b"hello"
    assert bob.ask("GET", f"/2.0/files/{file}").status_code == 404
    assert bob.ask("DELETE", f"/2.0/files/{file}", headers=header).status_code == 403
    assert bob.ask("GET", "/2.0/shared_items", headers={"BoxApi": "shared_link=https://x"}).status_code == 404
    box.update("/S", shared_link=None)
    assert bob.ask("GET", "/2.0/shared_items", headers=header).status_code == 404


def test_shared_link_with_a_password(box: Box, bob: Box) -> None:
    box.upload("/a", b"hello")
    link = share(box, "/a", access="open", password="sesame")
    assert link["is_password_enabled"]
    wrong = bob.ask("GET", "/2.0/shared_items", headers={"BoxApi": f"shared_link={link['url']}"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "incorrect_shared_item_password")
    header = {"BoxApi": f"shared_link={link['url']}&shared_link_password=sesame"}
    assert bob.ask("GET", "/2.0/shared_items", headers=header).json()["name"] == "a"


def test_shared_link_gives_anybody_the_bytes(box: Box) -> None:
    box.upload("/a.txt", b"hello")
    link = share(box, "/a.txt")
    assert box.ask("GET", link["download_url"], headers={"Authorization": ""}).content == b"hello"
    assert box.file("/a.txt")["shared_link"]["download_count"] == 1
    assert share(box, "/a.txt")["url"] == link["url"]


def test_shared_link_goes_with_the_trash(box: Box) -> None:
    box.upload("/a", b"x")
    share(box, "/a")
    number = box.find("/a")["id"]
    box.delete("/a")
    assert box.get("file", number)["shared_link"] is None
    box.call("POST", f"/2.0/files/{number}", json={})
    assert box.file("/a")["shared_link"] is None


def test_shared_link_of_the_root_is_refused(box: Box) -> None:
    assert box.ask("PUT", "/2.0/folders/0", json={"shared_link": {}}).status_code == 403
