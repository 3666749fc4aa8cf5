"""Who may do what with an item: roles, and the rights that a role carries.

`Access` knows owners only.  Collaborations and shared links extend it by subclassing; the emulator holds one
instance (`Emulator.access`) and asks it for every item that a request touches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxfs.emulator import errors
from boxfs.emulator.errors import ApiError
from boxfs.emulator.store import Item

if TYPE_CHECKING:
    from boxfs.emulator.context import Context

FILE_RIGHTS = (
    "can_download can_preview can_upload can_comment can_annotate can_rename can_delete can_share "
    "can_set_share_access can_invite_collaborator can_view_annotations_all can_view_annotations_self"
).split()
FOLDER_RIGHTS = (
    "can_download can_upload can_rename can_delete can_share can_invite_collaborator can_set_share_access"
).split()

_VIEW = frozenset(
    "can_download can_preview can_comment can_annotate can_share can_view_annotations_all "
    "can_view_annotations_self".split()
)
_ALL = frozenset(FILE_RIGHTS) | frozenset(FOLDER_RIGHTS)
ROLES: dict[str, frozenset[str]] = {
    "owner": _ALL,
    "co-owner": _ALL,
    "editor": _ALL - {"can_set_share_access"},
    "viewer uploader": _VIEW | {"can_upload"},
    "previewer uploader": frozenset({"can_preview", "can_upload"}),
    "viewer": _VIEW,
    "previewer": frozenset({"can_preview"}),
    "uploader": frozenset({"can_upload"}),
}


class Access:
    def role(self, ctx: Context, item: Item) -> str | None:
        """Role of the request's user on the item; None: it does not exist for them."""
        return "owner" if item.owner == ctx.user.id else None

    def rights(self, ctx: Context, item: Item) -> frozenset[str]:
        """Rights of the request on the item, what its token is narrowed to included."""
        role = self.role(ctx, item)
        return ROLES[role] if role else frozenset()

    def refusal(self, ctx: Context, item: Item, right: str) -> ApiError:
        """The error that says why the request has not that right."""
        return errors.denied()

    def shared_roots(self, user: int) -> list[int]:
        """pks of the items of others that appear in the user's root."""
        return []

    def watchers(self, item: Item) -> set[int]:
        """Users whose event streams tell of the item."""
        return {item.owner}
