"""What a mount is asked to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOptions:
    """fsname: what df and /proc/mounts show as the source.  extra: further `-o` options for libfuse and the kernel
    ("noatime", "nodev", "max_read=131072"), as mount(8) spells them.

    xattr: whether extended attributes are asked of the core; without it the kernel answers EOPNOTSUPP by itself.
    workers: requests answered at the same time; half of them may be such that the kernel makes ahead (it reads ahead
    for programs), so that slow reading never takes all.  *_timeout_s: how long the kernel keeps attributes, names, and
    the absence of names without asking; what changes elsewhere is told to it (invalidation.py).
    read_ahead_kb: the kernel's read-ahead, raised where we may (root).
    epoch: let the kernel drop all names at one word where it can (Linux 6.16); without it, and before, a list of the
    names that it holds is kept.
    """

    fsname: str = "boxfs"
    subtype: str = "boxfs"
    allow_other: bool = False
    default_permissions: bool = False
    read_only: bool = False
    nonempty: bool = False
    extra: tuple[str, ...] = ()
    xattr: bool = True
    workers: int = 64
    attr_timeout_s: float = 3600.0
    entry_timeout_s: float = 3600.0
    negative_timeout_s: float = 0.0
    read_ahead_kb: int = 1024
    epoch: bool = True

    def for_libfuse(self) -> list[str]:
        """The words after `-o`, one each."""
        words = [f"fsname={_escaped(self.fsname)}", f"subtype={_escaped(self.subtype)}"]
        words += [
            word
            for word, wanted in (
                ("allow_other", self.allow_other),
                ("default_permissions", self.default_permissions),
                ("ro", self.read_only),
            )
            if wanted
        ]
        return words + list(self.extra)


def _escaped(value: str) -> str:
    """libfuse's option parser takes a comma for the end and a backslash for an escape (fuse_opt.h)."""
    return value.replace("\\", "\\\\").replace(",", "\\,")
