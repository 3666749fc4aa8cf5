"""What the emulator raises where Box answers with an error (box-api.md section 3)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

HELP_URL = "http://developers.box.com/docs/#errors"


class ApiError(Exception):
    """An error reply: status, Box's code, message, optional context_info, extra headers.

    body=False: the reply has no body at all (401 and scope failures speak through WWW-Authenticate).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        context_info: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bool = True,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.context_info = status, code, message, context_info
        self.headers, self.body = dict(headers or {}), body

    def as_json(self) -> dict[str, Any]:
        reply: dict[str, Any] = {"type": "error", "status": self.status, "code": self.code}
        if self.context_info is not None:
            reply["context_info"] = self.context_info
        return reply | {"help_url": HELP_URL, "message": self.message, "request_id": secrets.token_hex(6)}


class Answer(Exception):
    """Raised to answer with a ready response from deep inside."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def bad_request(name: str, message: str, reason: str = "invalid_parameter") -> ApiError:
    errors = [{"reason": reason, "name": name, "message": message}]
    return ApiError(400, "bad_request", "Bad Request", {"errors": errors})


def missing(name: str) -> ApiError:
    return bad_request(name, f"'{name}' is required", "missing_parameter")


def not_found(kind: str, number: int | str, name: str | None = None) -> ApiError:
    """404: there is none, or it is not for this account; both look the same.  kind: "file", "folder", …"""
    prefix = {"folder": "d", "file": "f", "web_link": "w"}.get(kind)
    value = f"{prefix}_{number}" if prefix else str(number)
    name = name or kind
    message = f"Invalid value '{value}'. '{name}' with value '{value}' not found"
    errors = [{"reason": "invalid_parameter", "name": name, "message": message}]
    return ApiError(404, "not_found", "Not Found", {"errors": errors})


def trashed(code: str = "trashed") -> ApiError:
    return ApiError(404, code, "Item is trashed" if code == "trashed" else "Not Found")


def denied(message: str = "Access denied - insufficient permission") -> ApiError:
    return ApiError(403, "access_denied_insufficient_permissions", message)


def locked() -> ApiError:
    return ApiError(403, "access_denied_item_locked", "Access denied - item locked")


def precondition_failed() -> ApiError:
    return ApiError(412, "precondition_failed", "The resource has been modified. Please retrieve the resource again")


def name_in_use(context_info: Mapping[str, Any] | None) -> ApiError:
    return ApiError(409, "item_name_in_use", "Item with the same name already exists", context_info)


def method_not_allowed() -> ApiError:
    return ApiError(405, "method_not_allowed", "Method Not Allowed")


def unauthorized(*, with_body: bool, word: str = "invalid_token") -> ApiError:
    challenge = f'Bearer realm="Service", error="{word}", error_description="The access token provided is invalid."'
    return ApiError(401, "unauthorized", "Unauthorized", headers={"WWW-Authenticate": challenge}, body=with_body)


def insufficient_scope() -> ApiError:
    challenge = (
        'Bearer realm="Service", error="insufficient_scope", error_description="The request requires higher '
        'privileges than provided by the access token."'
    )
    return ApiError(403, "insufficient_scope", "Forbidden", headers={"WWW-Authenticate": challenge}, body=False)
