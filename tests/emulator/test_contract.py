"""A walk over all endpoints: every reply validates against Box's OpenAPI document (tests/support/contract.py)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
import requests

from boxfs.emulator.areas import AREAS
from tests.support.box import OTHER_TOKEN, Box
from tests.support.contract import Broken, Contract

FULL = {
    "file": "type,id,etag,sequence_id,name,size,sha1,file_version,version_number,comment_count,permissions,tags,lock,"
    "extension,is_package,watermark_info,is_accessible_via_shared_link,allowed_invitee_roles,is_externally_owned,"
    "has_collaborations,metadata.global.properties,expires_at,classification,uploader_display_name,disposition_at,"
    "shared_link,collections,path_collection,created_at,modified_at,trashed_at,purged_at,content_created_at,"
    "content_modified_at,created_by,modified_by,owned_by,parent,item_status,description,representations",
    "folder": "type,id,etag,sequence_id,name,size,sync_state,has_collaborations,permissions,tags,can_non_owners_invite,"
    "is_externally_owned,metadata.global.properties,is_collaboration_restricted_to_enterprise,allowed_invitee_roles,"
    "allowed_shared_link_access_levels,watermark_info,is_accessible_via_shared_link,can_non_owners_view_collaborators,"
    "classification,is_associated_with_app_item,collections,item_collection,shared_link,path_collection",
}
UNDOCUMENTED = {"POST /web_links/{}/copy", "OPTIONS /files/{}/content", "POST /files/upload_sessions/{}/log"}
"""What the emulator has beyond the document: the sheet names them all."""


class Walk:
    """Calls, each of which must be answered as told; the hook of the session validates."""

    def __init__(self, box: Box, bob: Box) -> None:
        self.box, self.bob = box, bob

    def do(self, status: int, method: str, path: str, *, by: Box | None = None, **options: Any) -> Any:
        path = path if path.startswith(("/api/", "/oauth2", "http")) else f"/2.0{path}"
        reply = (by or self.box).ask(method, path, allow_redirects=False, **options)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.headers.get("Content-Type") == "application/json" else reply

    def upload(self, name: str, content: bytes, folder: str = "0", file: str = "") -> dict[str, Any]:
        form = [("attributes", (None, json.dumps({"name": name, "parent": {"id": folder}}))), ("f", ("f", content))]
        path = f"/api/2.0/files/{file}/content" if file else "/api/2.0/files/content"
        return dict(self.do(201, "POST", path, files=form)["entries"][0])

    def folders(self) -> None:
        do = self.do
        made = do(201, "POST", "/folders", json={"name": "d", "parent": {"id": "0"}})["id"]
        do(409, "POST", "/folders", json={"name": "d", "parent": {"id": "0"}})
        do(400, "POST", "/folders", json={"name": "a/b", "parent": {"id": "0"}})
        do(404, "POST", "/folders", json={"name": "x", "parent": {"id": "99"}})
        self.upload("in d", b"x", made)
        link = {"url": "https://example.com/", "parent": {"id": "0"}}
        do(201, "POST", "/web_links", json=link)
        do(200, "GET", "/folders/0")
        do(200, "GET", f"/folders/{made}")
        do(200, "GET", f"/folders/{made}", params={"fields": FULL["folder"]})
        do(304, "GET", f"/folders/{made}", headers={"If-None-Match": "0"})
        do(405, "GET", "/folders/nonsense")
        for query in ({}, {"usemarker": "true"}, {"fields": f"{FULL['file']},{FULL['folder']},url"}, {"sort": "date"}):
            do(200, "GET", "/folders/0/items", params=query)
        do(200, "PUT", f"/folders/{made}", json={"name": "e", "description": "what", "tags": ["a"]})
        do(412, "PUT", f"/folders/{made}", json={"name": "f"}, headers={"If-Match": "0"})
        copy = do(201, "POST", f"/folders/{made}/copy", json={"parent": {"id": "0"}, "name": "copy"})["id"]
        lock = do(200, "POST", "/folder_locks", json={"folder": {"type": "folder", "id": copy}})["id"]
        do(200, "GET", "/folder_locks", params={"folder_id": copy})
        do(403, "DELETE", f"/folders/{copy}?recursive=true")
        do(204, "DELETE", f"/folder_locks/{lock}")
        do(400, "DELETE", f"/folders/{copy}")
        do(204, "DELETE", f"/folders/{copy}?recursive=true")
        do(404, "GET", f"/folders/{copy}")
        self.trashed("folder", copy)

    def trashed(self, kind: str, number: str) -> None:
        """An item in the trash: look, restore, purge."""
        for query in ({}, {"usemarker": "true"}, {"fields": "name,trashed_at,parent,item_status"}):
            self.do(200, "GET", "/folders/trash/items", params=query)
        self.do(200, "GET", f"/{kind}s/{number}/trash")
        self.do(201, "POST", f"/{kind}s/{number}")
        self.do(404, "DELETE", f"/{kind}s/{number}/trash")
        self.do(204, "DELETE", f"/{kind}s/{number}?recursive=true" if kind == "folder" else f"/{kind}s/{number}")
        self.do(204, "DELETE", f"/{kind}s/{number}/trash")

    def files(self) -> None:
        do = self.do
        do(200, "OPTIONS", "/files/content", json={"name": "f.txt", "parent": {"id": "0"}, "size": 1})
        file = self.upload("f.txt", b"one")["id"]
        do(409, "OPTIONS", "/files/content", json={"name": "F.txt", "parent": {"id": "0"}, "size": 1})
        do(200, "OPTIONS", f"/files/{file}/content", json={"name": "f.txt", "size": 1})
        old = self.upload("f2.txt", b"two", file=file)["file_version"]["id"]
        self.upload("f3.txt", b"three", file=file)
        do(200, "GET", f"/files/{file}")
        do(
            200,
            "GET",
            f"/files/{file}",
            params={"fields": FULL["file"]},
            headers={"X-Rep-Hints": "[jpg?dimensions=32x32]"},
        )
        do(304, "GET", f"/files/{file}", headers={"If-None-Match": "2"})
        do(302, "GET", f"/files/{file}/content")
        lock = {"type": "lock", "expires_at": "2030-01-01T00:00:00Z"}
        do(200, "PUT", f"/files/{file}", json={"lock": lock}, params={"fields": "lock"})
        do(
            200,
            "PUT",
            f"/files/{file}",
            json={"lock": None, "name": "g.txt", "content_modified_at": "2026-01-01T00:00:00Z"},
        )
        do(201, "POST", f"/files/{file}/copy", json={"parent": {"id": "0"}, "name": "copy"})
        do(200, "GET", f"/files/{file}/versions")
        do(200, "GET", f"/files/{file}/versions/{old}")
        do(201, "POST", f"/files/{file}/versions/current", json={"type": "file_version", "id": old})
        do(204, "DELETE", f"/files/{file}/versions/{old}")
        do(200, "PUT", f"/files/{file}/versions/{old}", json={"trashed_at": None})
        do(204, "DELETE", f"/files/{file}")
        do(200, "GET", f"/files/{file}")
        self.trashed("file", file)

    def sessions(self) -> None:
        self.box.settings(min_session_size=10, part_size=8, commit_202=1)
        content = b"0123456789"

        def digest(piece: bytes) -> str:
            return "sha=" + base64.b64encode(hashlib.sha1(piece).digest()).decode()

        body = {"folder_id": "0", "file_name": "big", "file_size": 10}
        session = self.do(201, "POST", "/api/2.0/files/upload_sessions", json=body)
        url, parts = f"/api/2.0/files/upload_sessions/{session['id']}", []
        for offset, piece in ((0, content[:8]), (8, content[8:])):
            told = {"Digest": digest(piece), "Content-Range": f"bytes {offset}-{offset + len(piece) - 1}/10"}
            parts.append(self.do(200, "PUT", url, data=piece, headers=told)["part"])
            self.do(409, "PUT", url, data=piece, headers=told)
        self.do(200, "GET", url)
        self.do(200, "GET", f"{url}/parts")
        whole = {"Digest": digest(content)}
        self.do(202, "POST", f"{url}/commit", json={"parts": parts}, headers=whole)
        file = self.do(201, "POST", f"{url}/commit", json={"parts": parts}, headers=whole)["entries"][0]["id"]
        self.do(204, "DELETE", url)
        self.do(404, "GET", url)
        again = self.do(201, "POST", f"/api/2.0/files/{file}/upload_sessions", json={"file_size": 10})
        self.do(204, "DELETE", f"/api/2.0/files/upload_sessions/{again['id']}")

    def sharing(self) -> None:
        do = self.do
        folder = do(201, "POST", "/folders", json={"name": "team", "parent": {"id": "0"}})["id"]
        file = self.upload("shared.txt", b"x", folder)["id"]
        link = {"url": "https://example.com/", "name": "wiki", "parent": {"id": folder}}
        web = do(201, "POST", "/web_links", json=link)["id"]
        for kind, number in (("folder", folder), ("file", file), ("web_link", web)):
            shown = do(200, "PUT", f"/{kind}s/{number}?fields=shared_link", json={"shared_link": {"access": "open"}})
            header = {"BoxApi": f"shared_link={shown['shared_link']['url']}"}
            do(200, "GET", "/shared_items", headers=header, by=self.bob)
            do(200, "PUT", f"/{kind}s/{number}?fields=shared_link", json={"shared_link": None})
        do(200, "GET", f"/web_links/{web}")
        do(200, "PUT", f"/web_links/{web}", json={"name": "docs"})
        do(204, "DELETE", f"/web_links/{web}")
        self.trashed("web_link", web)
        group = do(201, "POST", "/groups", json={"name": "all"})["id"]
        do(200, "GET", "/groups")
        do(200, "GET", f"/groups/{group}")
        do(200, "PUT", f"/groups/{group}", json={"name": "everybody"})
        bob = do(200, "GET", "/users/me", by=self.bob)["id"]
        member = do(201, "POST", "/group_memberships", json={"user": {"id": bob}, "group": {"id": group}})["id"]
        do(200, "GET", f"/group_memberships/{member}")
        do(200, "PUT", f"/group_memberships/{member}", json={"role": "member"})
        do(200, "GET", f"/groups/{group}/memberships")
        do(200, "GET", f"/users/{bob}/memberships")
        for item, who in (
            ({"type": "folder", "id": folder}, {"type": "group", "id": group}),
            ({"type": "file", "id": file}, {"type": "user", "login": "bob@example.com"}),
            ({"type": "folder", "id": folder}, {"type": "user", "login": "eve@elsewhere.example"}),
        ):
            body = {"item": item, "accessible_by": who, "role": "viewer"}
            made = do(201, "POST", "/collaborations", json=body)["id"]
            do(200, "GET", f"/collaborations/{made}")
            do(200, "GET", f"/{item['type']}s/{item['id']}/collaborations")
            do(200, "PUT", f"/collaborations/{made}", json={"role": "editor"})
            do(200, "GET", f"/groups/{group}/collaborations")
            do(200, "GET", "/collaborations?status=pending")
            do(204, "DELETE", f"/collaborations/{made}")
        do(204, "DELETE", f"/group_memberships/{member}")
        do(204, "DELETE", f"/groups/{group}")

    def notes(self) -> None:
        """Comments, metadata, collections, search."""
        do = self.do
        file = self.upload("noted.txt", b"x")["id"]
        folder = do(201, "POST", "/folders", json={"name": "noted", "parent": {"id": "0"}})["id"]
        comment = do(201, "POST", "/comments", json={"message": "hm", "item": {"type": "file", "id": file}})["id"]
        do(200, "GET", f"/files/{file}/comments")
        do(200, "GET", f"/comments/{comment}")
        do(200, "PUT", f"/comments/{comment}", json={"message": "aha"})
        do(204, "DELETE", f"/comments/{comment}")
        for item in (f"/files/{file}", f"/folders/{folder}"):
            path = f"{item}/metadata/global/properties"
            do(404, "GET", path)
            do(201, "POST", path, json={"k": "v"})
            do(409, "POST", path, json={"k": "v"})
            do(200, "GET", path)
            do(200, "GET", f"{item}/metadata")
            patch = json.dumps([{"op": "replace", "path": "/k", "value": "w"}])
            do(200, "PUT", path, data=patch, headers={"Content-Type": "application/json-patch+json"})
            do(204, "DELETE", path)
        favorites = do(200, "GET", "/collections")["entries"][0]["id"]
        do(200, "PUT", f"/files/{file}", json={"collections": [{"id": favorites}]})
        do(200, "GET", f"/collections/{favorites}")
        do(200, "GET", f"/collections/{favorites}/items")
        do(200, "GET", "/recent_items")
        do(200, "GET", "/search?query=noted")
        do(400, "GET", "/search")

    def streams(self) -> None:
        do = self.do
        do(200, "GET", "/events?stream_position=now")
        do(200, "GET", "/events?stream_position=0&limit=500")
        do(200, "OPTIONS", "/events")

    def pictures_and_zips(self) -> None:
        folder = self.do(201, "POST", "/folders", json={"name": "pics", "parent": {"id": "0"}})["id"]
        picture = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==")
        file = self.upload("dot.gif", picture, folder)["id"]
        self.do(200, "GET", f"/files/{file}/thumbnail.png")
        self.do(200, "GET", f"/files/{file}/thumbnail.jpg")
        zipped = self.do(202, "POST", "/zip_downloads", json={"items": [{"type": "folder", "id": folder}]})
        self.do(200, "GET", zipped["download_url"])
        self.do(200, "GET", zipped["status_url"])

    def users(self) -> None:
        do = self.do
        do(200, "GET", "/users/me")
        do(200, "GET", "/users/me?fields=role,enterprise,hostname,tracking_codes,is_platform_access_only")
        do(200, "GET", "/users")
        user = do(201, "POST", "/users", json={"name": "App", "is_platform_access_only": True})["id"]
        do(200, "GET", f"/users/{user}")
        do(200, "PUT", f"/users/{user}", json={"name": "Application"})
        do(200, "PUT", f"/users/{user}/folders/0", json={"owned_by": {"id": do(200, "GET", "/users/me")["id"]}})
        do(204, "DELETE", f"/users/{user}?force=true")

    def tokens(self) -> None:
        config = self.box.call("GET", "/_emulator/application")["config"]
        settings = config["boxAppSettings"]
        client = {"client_id": settings["clientID"], "client_secret": settings["clientSecret"]}
        subject = {"box_subject_type": "enterprise", "box_subject_id": config["enterpriseID"]}
        form = client | subject | {"grant_type": "client_credentials"}
        token = self.do(200, "POST", "/oauth2/token", data=form)["access_token"]
        self.do(400, "POST", "/oauth2/token", data=client | {"grant_type": "refresh_token", "refresh_token": "x"})
        self.do(200, "POST", "/oauth2/revoke", data=client | {"token": token})
        asked = {"response_type": "code", "client_id": settings["clientID"]}
        asked["redirect_uri"] = "http://127.0.0.1:8765/callback"
        self.do(200, "GET", "/api/oauth2/authorize", params=asked)

    def all(self) -> None:
        self.users()
        self.folders()
        self.files()
        self.sessions()
        self.sharing()
        self.notes()
        self.pictures_and_zips()
        self.tokens()
        self.streams()


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _areas() -> set[str]:
    """Routes of the emulator as the document would write them: without the place they are served from."""
    found = set()
    for area in AREAS:
        for route in area.routes:
            path = _plain(route.pattern)
            if path.startswith(("/2.0/", "/api/2.0/")) and "/internal_files/" not in path:
                found.add(f"{route.method} {path.removeprefix('/api').removeprefix('/2.0')}")
    return found


def test_every_reply_of_a_walk_over_all_endpoints_validates(box: Box, contract: Contract) -> None:
    contract.seen.clear()
    bob = box.as_user(OTHER_TOKEN)
    Walk(box, bob).all()
    bob.close()
    seen = {f"{method} {_plain(path)}" for method, path in contract.seen}
    seen = {each.replace("thumbnail.{}", "thumbnail.png") for each in seen} | {"GET /files/{}/thumbnail.jpg"}
    assert _areas() - seen == UNDOCUMENTED
    assert {"POST /oauth2/token", "POST /oauth2/revoke", "GET /authorize"} <= seen


def test_the_contract_notices(box: Box, contract: Contract) -> None:
    """A validator that lets everything pass would be worth nothing."""
    reply = box.ask("GET", "/2.0/folders/0")
    body = reply.json()
    for name, value in (("id", 0), ("item_status", "gone"), ("path_collection", {}), ("created_at", "yesterday")):
        bent = requests.Response()
        bent.status_code, bent.request, bent.headers = 200, reply.request, reply.headers
        bent._content = json.dumps(body | {name: value}).encode()
        with pytest.raises(Broken):
            contract.check(bent)
    bent.status_code = 201
    with pytest.raises(Broken):
        contract.check(bent)
