"""`client.users`, `client.groups`, `client.collaborations`, `client.comments`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from boxfs.api.models import Collaboration, Comment, Folder, Group, GroupMembership, Resource, User
from boxfs.api.resources.base import Endpoints, given, written_time
from boxfs.api.resources.base import Group as EndpointGroup


class Users(EndpointGroup):
    def me(self, *, fields: str | None = None) -> User:
        return self._one(User, "GET", "/users/me", params={"fields": fields})

    def get(self, user_id: str, *, fields: str | None = None) -> User:
        return self._one(User, "GET", f"/users/{user_id}", params={"fields": fields})

    def list(self, *, filter_term: str | None = None, user_type: str | None = None) -> Iterator[User]:
        """Yield the enterprise's users (administrators only).  filter_term: beginning of name or login."""
        params = {"filter_term": filter_term, "user_type": user_type}
        return self._by_offset(User, "/users", params=params)

    def create(self, name: str, login: str, **members: Any) -> User:
        """Make a managed user."""
        return self._one(User, "POST", "/users", json={"name": name, "login": login, **members})

    def create_app_user(self, name: str, **members: Any) -> User:
        """Make a user that exists for this application only; act as it with `client.as_user`."""
        body = {"name": name, "is_platform_access_only": True, **members}
        return self._one(User, "POST", "/users", json=body)

    def update(self, user_id: str, **members: Any) -> User:
        return self._one(User, "PUT", f"/users/{user_id}", json=members)

    def delete(self, user_id: str, *, force: bool = False, notify: bool | None = None) -> None:
        """force: although the user owns items."""
        self._no_content("DELETE", f"/users/{user_id}", params={"force": force, "notify": notify})

    def transfer_content(self, user_id: str, new_owner_id: str) -> Folder:
        """Hand all that a user owns to another one, in a new folder of theirs."""
        body = {"owned_by": {"id": new_owner_id}}
        return self._one(Folder, "PUT", f"/users/{user_id}/folders/0", json=body)

    def avatar(self, user_id: str) -> bytes:
        return self._session.request("GET", f"/users/{user_id}/avatar").read()

    def email_aliases(self, user_id: str) -> Endpoints[Resource]:
        return Endpoints(self._session, self._registry, f"/users/{user_id}/email_aliases", Resource)

    def memberships(self, user_id: str) -> Iterator[GroupMembership]:
        return self._by_offset(GroupMembership, f"/users/{user_id}/memberships")


class Groups(EndpointGroup):
    def list(self, *, filter_term: str | None = None) -> Iterator[Group]:
        return self._by_offset(Group, "/groups", params={"filter_term": filter_term})

    def get(self, group_id: str) -> Group:
        return self._one(Group, "GET", f"/groups/{group_id}")

    def create(self, name: str, **members: Any) -> Group:
        return self._one(Group, "POST", "/groups", json={"name": name, **members})

    def update(self, group_id: str, **members: Any) -> Group:
        return self._one(Group, "PUT", f"/groups/{group_id}", json=members)

    def delete(self, group_id: str) -> None:
        self._no_content("DELETE", f"/groups/{group_id}")

    def memberships(self, group_id: str) -> Iterator[GroupMembership]:
        return self._by_offset(GroupMembership, f"/groups/{group_id}/memberships")

    def add_member(self, group_id: str, user_id: str, *, role: str = "member") -> GroupMembership:
        body = {"group": {"id": group_id}, "user": {"id": user_id}, "role": role}
        return self._one(GroupMembership, "POST", "/group_memberships", json=body)

    def get_membership(self, membership_id: str) -> GroupMembership:
        return self._one(GroupMembership, "GET", f"/group_memberships/{membership_id}")

    def update_membership(self, membership_id: str, *, role: str) -> GroupMembership:
        return self._one(GroupMembership, "PUT", f"/group_memberships/{membership_id}", json={"role": role})

    def remove_member(self, membership_id: str) -> None:
        self._no_content("DELETE", f"/group_memberships/{membership_id}")

    def collaborations(self, group_id: str) -> Iterator[Collaboration]:
        return self._by_offset(Collaboration, f"/groups/{group_id}/collaborations")


class Collaborations(EndpointGroup):
    """Who may do what on an item; `client.folders.collaborations(id)` lists them."""

    def create(
        self,
        item_type: str,
        item_id: str,
        role: str,
        *,
        user_id: str | None = None,
        login: str | None = None,
        group_id: str | None = None,
        can_view_path: bool | None = None,
        expires_at: datetime | None = None,
        notify: bool | None = None,
    ) -> Collaboration:
        """Invite a user (by id or login) or a group.

        role: editor, viewer, previewer, uploader, previewer uploader, viewer uploader, co-owner.
        """
        who = {"type": "group" if group_id else "user", **given(id=group_id or user_id, login=login)}
        body = {
            "item": {"type": item_type, "id": item_id},
            "accessible_by": who,
            "role": role,
            **given(can_view_path=can_view_path, expires_at=written_time(expires_at)),
        }
        return self._one(Collaboration, "POST", "/collaborations", json=body, params={"notify": notify})

    def get(self, collaboration_id: str) -> Collaboration:
        return self._one(Collaboration, "GET", f"/collaborations/{collaboration_id}")

    def update(self, collaboration_id: str, **members: Any) -> Collaboration | None:
        """role=, status= ("accepted", "rejected"), expires_at=…; None where the item went to a new owner (204)."""
        reply = self._session.json("PUT", f"/collaborations/{collaboration_id}", json=members)
        return self._build(reply, Collaboration) if reply else None

    def delete(self, collaboration_id: str) -> None:
        self._no_content("DELETE", f"/collaborations/{collaboration_id}")

    def pending(self) -> Iterator[Collaboration]:
        """Yield the invitations that wait for this user."""
        return self._by_offset(Collaboration, "/collaborations", params={"status": "pending"})


class Comments(EndpointGroup):
    def create(self, file_id: str, message: str, *, item_type: str = "file") -> Comment:
        """item_type: "comment" answers a comment.  "@[7:Ada]" in the message names a user."""
        kind = "tagged_message" if "@[" in message else "message"
        body = {kind: message, "item": {"type": item_type, "id": file_id}}
        return self._one(Comment, "POST", "/comments", json=body)

    def list(self, file_id: str) -> Iterator[Comment]:
        return self._by_offset(Comment, f"/files/{file_id}/comments")

    def get(self, comment_id: str) -> Comment:
        return self._one(Comment, "GET", f"/comments/{comment_id}")

    def update(self, comment_id: str, message: str) -> Comment:
        return self._one(Comment, "PUT", f"/comments/{comment_id}", json={"message": message})

    def delete(self, comment_id: str) -> None:
        self._no_content("DELETE", f"/comments/{comment_id}")
