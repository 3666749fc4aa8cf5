"""What BoxClient returns: frozen dataclasses, a member for each that Box documents, None where Box did not say.

`raw` is the whole JSON object, for members that are not here.  Times are aware datetimes, sizes bytes.  A subclass of
any of these may be registered in its place (`BoxClient.register`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Anything with a type and an id; also what a type that nobody knows comes as."""

    type: str = ""
    id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class User(Resource):
    name: str | None = None
    login: str | None = None
    status: str | None = None
    role: str | None = None
    language: str | None = None
    timezone: str | None = None
    space_amount: int | None = None
    space_used: int | None = None
    max_upload_size: int | None = None
    job_title: str | None = None
    phone: str | None = None
    address: str | None = None
    avatar_url: str | None = None
    is_platform_access_only: bool | None = None
    external_app_user_id: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SharedLink(Resource):
    url: str | None = None
    download_url: str | None = None
    vanity_url: str | None = None
    vanity_name: str | None = None
    access: str | None = None
    effective_access: str | None = None
    effective_permission: str | None = None
    unshared_at: datetime | None = None
    is_password_enabled: bool | None = None
    permissions: Mapping[str, Any] | None = None
    download_count: int | None = None
    preview_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lock(Resource):
    created_by: User | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    is_download_prevented: bool | None = None
    app_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class FileVersion(Resource):
    sha1: str | None = None
    name: str | None = None
    size: int | None = None
    version_number: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    modified_by: User | None = None
    trashed_at: datetime | None = None
    trashed_by: User | None = None
    restored_at: datetime | None = None
    restored_by: User | None = None
    purged_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Item(Resource):
    """What files, folders and web links share."""

    name: str | None = None
    etag: str | None = None
    sequence_id: str | None = None
    description: str | None = None
    parent: Folder | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    created_by: User | None = None
    modified_by: User | None = None
    owned_by: User | None = None
    trashed_at: datetime | None = None
    purged_at: datetime | None = None
    item_status: str | None = None
    shared_link: SharedLink | None = None
    permissions: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] | None = None
    has_collaborations: bool | None = None
    is_externally_owned: bool | None = None

    @property
    def path(self) -> str | None:
        """The path below the root, "/Reports/a.txt"; None where Box did not send the folders above it."""
        above = self.raw.get("path_collection")
        if not isinstance(above, Mapping) or not isinstance(above.get("entries"), list):
            return None
        names = [str(each.get("name")) for each in above["entries"] if str(each.get("id")) != "0"]
        return "/" + "/".join([*names, self.name or ""]) if self.id != "0" else "/"


@dataclass(frozen=True, kw_only=True)
class File(Item):
    size: int | None = None
    sha1: str | None = None
    file_version: FileVersion | None = None
    version_number: str | None = None
    extension: str | None = None
    comment_count: int | None = None
    content_created_at: datetime | None = None
    content_modified_at: datetime | None = None
    lock: Lock | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Folder(Item):
    size: int | None = None
    content_created_at: datetime | None = None
    content_modified_at: datetime | None = None
    folder_upload_email: Mapping[str, Any] | None = None
    can_non_owners_invite: bool | None = None
    sync_state: str | None = None


@dataclass(frozen=True, kw_only=True)
class WebLink(Item):
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group(Resource):
    name: str | None = None
    group_type: str | None = None
    description: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class GroupMembership(Resource):
    user: User | None = None
    group: Group | None = None
    role: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Collaboration(Resource):
    """accessible_by: a User or a Group.  item: None for invitations that were not accepted yet."""

    role: str | None = None
    status: str | None = None
    accessible_by: Resource | None = None
    item: Item | None = None
    created_by: User | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    expires_at: datetime | None = None
    invite_email: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comment(Resource):
    message: str | None = None
    tagged_message: str | None = None
    is_reply_comment: bool | None = None
    created_by: User | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Collection(Resource):
    name: str | None = None
    collection_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class FolderLock(Resource):
    folder: Folder | None = None
    lock_type: str | None = None
    locked_operations: Mapping[str, Any] | None = None
    created_by: User | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Event(Resource):
    """source: a File, Folder, WebLink, User …, as of about now and not as it was; None where Box gave none."""

    event_id: str | None = None
    event_type: str | None = None
    source: Resource | None = None
    created_by: User | None = None
    created_at: datetime | None = None
    recorded_at: datetime | None = None
    session_id: str | None = None
    additional_details: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Representation(Resource):
    """One rendering of a file.  state: success, viewable, pending, none, error."""

    representation: str | None = None
    properties: Mapping[str, Any] | None = None
    info: Mapping[str, Any] | None = None
    status: Mapping[str, Any] | None = None
    content: Mapping[str, Any] | None = None

    @property
    def state(self) -> str | None:
        return str(self.status["state"]) if self.status and "state" in self.status else None


@dataclass(frozen=True, kw_only=True)
class ZipDownload(Resource):
    """download_url: serves once, for a few seconds.  status_url: for twelve hours."""

    download_url: str | None = field(default=None, repr=False)
    status_url: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    name_conflicts: tuple[Any, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ZipStatus(Resource):
    state: str | None = None
    total_file_count: int | None = None
    downloaded_file_count: int | None = None
    skipped_file_count: int | None = None
    skipped_folder_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook(Resource):
    address: str | None = None
    target: Resource | None = None
    triggers: tuple[str, ...] | None = None
    created_by: User | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Task(Resource):
    item: Item | None = None
    message: str | None = None
    action: str | None = None
    is_completed: bool | None = None
    due_at: datetime | None = None
    created_by: User | None = None
    created_at: datetime | None = None
