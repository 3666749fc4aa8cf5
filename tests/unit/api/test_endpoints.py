"""The parts of Box that have the usual five methods and no more, and what the emulator does not have."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from boxfs.api import BoxClient
from boxfs.api.models import Resource, Task, Webhook
from boxfs.api.webhooks import is_genuine
from tests.unit.api.scripted import Answer, Scripted, reply, session

# Named as Box's reference does; each is `client.endpoints(name)`.
PARTS = [
    "collaboration_whitelist_entries",
    "collaboration_whitelist_exempt_targets",
    "device_pinners",
    "file_requests",
    "file_version_retentions",
    "file_version_legal_holds",
    "integration_mappings/slack",
    "invites",
    "legal_hold_policies",
    "legal_hold_policy_assignments",
    "metadata_cascade_policies",
    "retention_policies",
    "retention_policy_assignments",
    "shield_information_barriers",
    "sign_requests",
    "sign_templates",
    "storage_policies",
    "storage_policy_assignments",
    "task_assignments",
    "tasks",
    "terms_of_services",
    "terms_of_service_user_statuses",
    "webhooks",
    "workflows",
]


def client(*answers: Answer) -> tuple[BoxClient, Scripted]:
    box, script = session(*answers)
    return BoxClient(session=box), script


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_listed_made_read_changed_and_deleted(name: str) -> None:
    one = {"type": "thing", "id": "7", "anything": "kept"}
    two = {"type": "thing", "id": "8"}
    box, script = client(
        reply(200, {"entries": [one], "next_marker": "m"}),
        reply(200, {"entries": [two], "next_marker": None}),
        reply(201, one),
        reply(200, one),
        reply(200, one),
        reply(204),
    )
    part = box.endpoints(name)
    assert [each.id for each in part.list(limit=1)] == ["7", "8"]
    made = part.create({"a": 1})
    assert isinstance(made, Resource)
    assert made.raw["anything"] == "kept"
    assert part.get("7") == part.update("7", {"a": 2})
    part.delete("7")
    base = f"http://box.test/2.0/{name}"
    assert [(request.method, request.url) for request in script.asked] == [
        ("GET", base),
        ("GET", base),
        ("POST", base),
        ("GET", f"{base}/7"),
        ("PUT", f"{base}/7"),
        ("DELETE", f"{base}/7"),
    ]
    assert script.asked[1].params == {"limit": "1", "marker": "m"}


def test_webhooks_and_tasks_are_typed() -> None:
    hook = {"type": "webhook", "id": "1", "address": "https://example.com", "target": {"type": "folder", "id": "2"}}
    task = {"type": "task", "id": "3", "message": "look", "item": {"type": "file", "id": "4"}}
    box, script = client(reply(201, hook), reply(201, task), reply(200, {"entries": [task]}))
    made = box.webhooks.create({"address": "https://example.com", "triggers": ["FILE.UPLOADED"]})
    assert isinstance(made, Webhook)
    assert made.target is not None
    assert made.target.id == "2"
    todo = box.tasks.create({"item": {"type": "file", "id": "4"}, "action": "review"})
    assert isinstance(todo, Task)
    assert [each.message for each in box.files.tasks("4")] == ["look"]
    assert script.asked[2].url.endswith("/files/4/tasks")


def test_watermarks() -> None:
    mark = {"watermark": {"created_at": "2026-03-01T08:15:30-08:00"}}
    box, script = client(reply(201, mark), reply(200, mark), reply(204))
    assert box.files.apply_watermark("7") == mark
    assert box.files.get_watermark("7") == mark
    box.folders.remove_watermark("42")
    assert script.asked[2].url == "http://box.test/2.0/folders/42/watermark"


def test_metadata_queries_and_templates_of_the_enterprise() -> None:
    file = {"type": "file", "id": "7", "name": "a"}
    box, script = client(
        reply(200, {"entries": [file], "next_marker": "m"}),
        reply(200, {"entries": [{"item": file}]}),
        reply(200, {"entries": [{"type": "metadata_template", "id": "t"}]}),
    )
    asked = {"from": "enterprise_1.contract", "query": "amount > :least", "query_params": {"least": 1}}
    assert [item.name for item in box.metadata.query(asked)] == ["a", "a"]
    assert json.loads(script.sent[1])["marker"] == "m"
    assert [each.id for each in box.metadata.templates()] == ["t"]
    assert script.asked[2].url == "http://box.test/2.0/metadata_templates/enterprise"


def test_admin_events_keep_their_text_positions() -> None:
    event = {
        "type": "event",
        "event_id": "e",
        "event_type": "DOWNLOAD",
        "source": {"item_type": "file", "item_id": "7"},
    }
    box, script = client(reply(200, {"entries": [event], "next_stream_position": "1152922976252290886"}))
    when = datetime(2026, 3, 1, tzinfo=UTC)
    page = box.events.admin(event_types=("DOWNLOAD", "UPLOAD"), created_after=when)
    assert page.next_position == 1152922976252290886
    assert page.events[0].event_type == "DOWNLOAD"
    assert script.asked[0].params["event_type"] == "DOWNLOAD,UPLOAD"
    assert script.asked[0].params["created_after"] == "2026-03-01T00:00:00Z"


def test_addresses_to_hand_on() -> None:
    box, _ = client(
        reply(302, None, {"Location": "https://dl.test/x"}),
        reply(200, {"type": "file", "id": "7", "expiring_embed_link": {"url": "https://view.test/x"}}),
    )
    assert box.files.download_url("7") == "https://dl.test/x"
    assert box.files.embed_url("7") == "https://view.test/x"


def signed(body: bytes, key: str, sent: str) -> dict[str, str]:
    made = base64.b64encode(hmac.new(key.encode(), body + sent.encode(), hashlib.sha256).digest()).decode()
    return {
        "BOX-SIGNATURE-VERSION": "1",
        "Box-Signature-Algorithm": "HmacSHA256",
        "box-signature-primary": made,
        "box-delivery-timestamp": sent,
    }


def test_messages_of_webhooks_are_believed_only_when_signed_and_fresh() -> None:
    body, sent = b'{"trigger":"FILE.UPLOADED"}', "2026-03-01T08:15:30-08:00"
    now = datetime(2026, 3, 1, 16, 20, tzinfo=UTC)
    headers = signed(body, "KEY", sent)
    assert is_genuine(body, headers, ["OTHER", "KEY"], now=now)
    assert not is_genuine(body + b" ", headers, ["KEY"], now=now)
    assert not is_genuine(body, headers, ["OTHER"], now=now)
    assert not is_genuine(body, headers, ["KEY"], now=datetime(2026, 3, 1, 17, tzinfo=UTC))
    assert not is_genuine(body, {}, ["KEY"], now=now)
    assert not is_genuine(body, {**headers, "Box-Signature-Algorithm": "MD5"}, ["KEY"], now=now)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (
            {"path_collection": {"entries": [{"id": "0", "name": "All Files"}, {"id": "42", "name": "Reports"}]}},
            "/Reports/a",
        ),
        ({"path_collection": {"entries": [{"id": "0"}]}}, "/a"),
        ({}, None),
    ],
)
def test_the_path_of_an_item(raw: dict[str, Any], path: str | None) -> None:
    box, _ = client(reply(200, {"type": "file", "id": "7", "name": "a", **raw}))
    assert box.files.get("7").path == path
