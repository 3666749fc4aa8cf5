"""Replies against Box's OpenAPI document (tests/data/box-openapi.json.gz).

`Contract.check` finds the operation of a request and validates status and body of its reply.  What is known to be
off in the document itself is lifted in `lift_slips` and nowhere else; each slip is one that the fact sheet of Box's
API names from traces of the real service.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import requests
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).parents[1] / "data" / "box-openapi.json.gz"
ROOT = "urn:box"
MOST_ENTRIES = 40
"""Entries of a listing that are looked at: the rest is made by the same code."""
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$")


class Broken(AssertionError):
    """A reply that the document does not allow."""


def lift_slips(document: dict[str, Any]) -> None:
    """Change the document where real replies differ from it."""
    schemas, paths = document["components"]["schemas"], document["paths"]
    # Codes outside the enum are sent: item_name_in_use, trashed, folder_not_empty …
    del schemas["ClientError"]["properties"]["code"]["enum"]
    # For files the service sends one object, not a list.
    schemas["ConflictError"] = {"$ref": "#/components/schemas/ClientError"}
    # A spelling slip: the real member is `access`.
    for name in ("File", "Folder", "WebLink"):
        for part in parts_of(schemas[name]["allOf"][-1]["properties"]["shared_link"]):
            part["required"] = [each for each in part.get("required", []) if each != "accessed"]
    # A valid file matches the free-form member of the list too.
    schemas["EventSourceResource"]["anyOf"] = schemas["EventSourceResource"].pop("oneOf")
    # Null in practice.
    schemas["Event"]["properties"]["session_id"]["nullable"] = True
    schemas["Event"]["properties"]["source"]["nullable"] = True
    # [] where it is unset.
    schemas["User"]["allOf"][-1]["properties"]["notification_email"] = {}
    # Null where there is none (sections 11.1 and 17 of the sheet).
    schemas["UploadUrl"]["properties"]["upload_token"]["nullable"] = True
    for name in ("File--Full", "Folder--Full"):
        schemas[name]["allOf"][-1]["properties"]["metadata"]["nullable"] = True
    # Statuses of the real service.
    for path, method, documented, real in (
        ("/files/{file_id}/metadata/{scope}/{template_key}", "get", "201", "200"),
        ("/folders/{folder_id}/metadata/{scope}/{template_key}", "get", "201", "200"),
        ("/files/{file_id}/content", "post", "200", "201"),
        ("/web_links", "post", "200", "201"),
    ):
        responses = paths[path][method]["responses"]
        responses[real] = responses[documented]


def parts_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema with the members of its allOf."""
    return [schema, *schema.get("allOf", [])]


def to_json_schema(value: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema: `nullable`, also where it stands beside or inside an allOf; references."""
    if isinstance(value, list):
        return [to_json_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: to_json_schema(each) for key, each in value.items() if key not in ("nullable", "example")}
    if isinstance(value.get("$ref"), str):
        return {"$ref": value["$ref"].replace("#/", f"{ROOT}#/", 1)}
    nullable = value.get("nullable") is True or any(
        isinstance(part, dict) and part.get("nullable") is True for part in value.get("allOf") or []
    )
    return {"anyOf": [made, {"type": "null"}]} if nullable else made


class Contract:
    """seen: (method, path of the document) of all requests that were answered below 400."""

    def __init__(self) -> None:
        document = json.loads(gzip.decompress(DOCUMENT.read_bytes()))
        lift_slips(document)
        self.seen: set[tuple[str, str]] = set()
        self._operations = self._find_operations(document["paths"])
        self._patterns = [(_pattern(path), path) for path in sorted(self._operations, key=_specific)]
        schemas = {"components": to_json_schema(document["components"])}
        self._registry: Registry[Any] = Registry().with_resource(ROOT, DRAFT202012.create_resource(schemas))
        self._formats = jsonschema.FormatChecker(formats=())
        self._formats.checks("date-time")(lambda text: not isinstance(text, str) or bool(DATE_TIME.match(text)))

    @staticmethod
    def _find_operations(paths: dict[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """path -> method -> operations: paths with a #fragment are folded onto the path before it."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for path, methods in paths.items():
            for method, operation in methods.items():
                if isinstance(operation, dict) and "responses" in operation:
                    found.setdefault(path.partition("#")[0], {}).setdefault(method.upper(), []).append(operation)
        return found

    def find(self, method: str, url: str) -> tuple[str, list[dict[str, Any]]] | None:
        """Path and operations of a request; None for what the document does not have."""
        path = urlsplit(url).path.replace("/oauth2/authorize", "/authorize")
        for prefix in ("/api/2.0", "/2.0", "/api"):
            if path.startswith(prefix + "/"):
                path = path.removeprefix(prefix)
                break
        for pattern, template in self._patterns:
            if pattern.match(path) and method in self._operations[template]:
                return template, self._operations[template][method]
        return None

    def check(self, reply: requests.Response) -> None:
        """Raises Broken."""
        method, url = str(reply.request.method), str(reply.request.url)
        found = self.find(method, url)
        if found is None:
            return
        template, operations = found
        if reply.status_code < 400:
            self.seen.add((method, template))
        if reply.status_code in (401, 403) and not reply.content and "WWW-Authenticate" in reply.headers:
            return  # told in the header: the sheet's section 2.5
        problems = [self._problem(reply, operation["responses"]) for operation in operations]
        if all(problems):
            raise Broken(f"{method} {url} ({template}): {reply.status_code} {reply.text[:500]}: {problems[0]}")

    def _problem(self, reply: requests.Response, responses: dict[str, Any]) -> str | None:
        status = str(reply.status_code)
        if status not in responses and reply.status_code < 400:
            return f"status {status} is not one of {', '.join(responses)}"
        response = responses.get(status) or responses["default"]
        media = response.get("content", {}).get("application/json")
        if media is None:
            json_body = reply.content and reply.headers.get("Content-Type") == "application/json"
            return "a body where there is none" if json_body and not response.get("content") else None
        if reply.headers.get("Content-Type") != "application/json":
            return f"a body of type {reply.headers.get('Content-Type')}"
        validator = jsonschema.Draft202012Validator(
            to_json_schema(media["schema"]), registry=self._registry, format_checker=self._formats
        )
        body = reply.json()
        if isinstance(body, dict) and isinstance(body.get("entries"), list):
            body["entries"] = body["entries"][:MOST_ENTRIES]
        error = jsonschema.exceptions.best_match(validator.iter_errors(body))
        return None if error is None else f"{error.json_path}: {error.message[:300]}"


def _specific(path: str) -> tuple[int, str]:
    return path.count("{"), path


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")
