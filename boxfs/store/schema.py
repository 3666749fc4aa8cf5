"""The tables of the local state, column by column.

`state.db` is SQLite with a write-ahead log.  A row of `nodes` that is not pending is cache: it may be dropped and asked
of Box again.  A pending row, the spool file that it names and that spool's row are the user's work: nothing but
success or the user's word removes them.

Text is UTF-8; a name that is no UTF-8 (surrogateescape in Python) is stored as the BLOB of its bytes.  Times are
nanoseconds since the epoch, sizes bytes; NULL is Python's None.
"""

from __future__ import annotations

VERSION = 1  # of this schema; grows with every change that older code cannot read

# (column, declaration).  One row is one inode; the order is that of a row's tuple everywhere.
_NODES: tuple[tuple[str, str], ...] = (
    # Inode number; 1 is the root.  From (kind, item id) where Box knew the item first, else counted (core/inodes.py).
    ("ino", "INTEGER PRIMARY KEY"),
    # Inode of the folder that shows it; NULL: the mount shows it nowhere (deleted here, or the root).
    ("parent", "INTEGER"),
    # As the mount shows it (decoded), and folded as Box compares names: casefold(NFKC(name)).
    ("name", "TEXT NOT NULL"),
    ("folded", "TEXT NOT NULL"),
    # "file", "folder", "web_link".
    ("kind", "TEXT NOT NULL"),
    # 1: differs from Box.  Computed by the core, and stored so that a start finds its work by an index.
    ("pending", "INTEGER NOT NULL"),
    # What stat shows.  mode: permission bits, NULL for the mount's default; kind_bits: S_IFMT of a special file or 0.
    ("size", "INTEGER NOT NULL"),
    ("mtime_ns", "INTEGER NOT NULL"),
    ("ctime_ns", "INTEGER NOT NULL"),
    ("atime_ns", "INTEGER NOT NULL"),
    ("mode", "INTEGER"),
    ("uid", "INTEGER"),
    ("gid", "INTEGER"),
    ("kind_bits", "INTEGER NOT NULL"),
    ("rdev", "INTEGER NOT NULL"),
    # Target of a symbolic link.
    ("target", "TEXT"),
    # User's extended attributes, JSON object of text (bytes as core/attributes.py encodes them); NULL: none.
    ("xattrs", "TEXT"),
    # 1: a user set the times (utimensat), so that they are worth keeping at Box.
    ("times_set", "INTEGER NOT NULL"),
    # Reversible mark on the name at Box that tells it from one that differs by case only; 0: none.
    ("mark", "INTEGER NOT NULL"),
    # Local bytes that Box has not got (NULL spool: none): spool file, count of edits, the version and how many of its
    # bytes stand below, the etag that the upload must meet, and whose version that is (NULL: its own).
    ("spool", "INTEGER"),
    ("edit", "INTEGER"),
    ("base", "TEXT"),
    ("base_size", "INTEGER"),
    ("base_etag", "TEXT"),
    ("base_file", "TEXT"),
    # Of a folder.  complete: all children are in the table as of the stream position; stale: why to list it again.
    ("complete", "INTEGER NOT NULL"),
    ("stale", "TEXT"),
    # How sending goes.  changed_ns: the last local change; error: one line for people.
    ("changed_ns", "INTEGER NOT NULL"),
    ("attempts", "INTEGER NOT NULL"),
    ("not_before_ns", "INTEGER NOT NULL"),
    ("error", "TEXT"),
    ("conflict_of", "TEXT"),
    # As Box last told (NULL item_id: Box never had it).  remote_name is raw, as Box spells it.
    ("item_id", "TEXT"),
    ("remote_parent", "TEXT"),
    ("remote_name", "TEXT"),
    ("etag", "TEXT"),
    ("sequence_id", "INTEGER"),
    ("version_id", "TEXT"),
    ("sha1", "TEXT"),
    ("remote_size", "INTEGER"),
    ("created_ns", "INTEGER"),
    ("modified_ns", "INTEGER"),
    ("content_created_ns", "INTEGER"),
    ("content_modified_ns", "INTEGER"),
    ("trashed", "INTEGER"),
    # Rights: four ternary digits, can_download lowest, then upload, rename, delete; each 0 unknown, 1 no, 2 yes.
    ("rights", "INTEGER"),
    # global.properties as JSON object; NULL: not asked.
    ("properties", "TEXT"),
    # What is rarely there, as JSON object: url, description, shared_link, lock, owner, tags.
    ("extra", "TEXT"),
)

NODE_COLUMNS: tuple[str, ...] = tuple(name for name, _ in _NODES)
COLUMN = {name: at for at, name in enumerate(NODE_COLUMNS)}

# What the row of an item is that Box has just told of, while nothing was changed here; and what it has besides.
UNTOUCHED: dict[str, str] = {
    **dict.fromkeys(("pending", "kind_bits", "rdev", "times_set", "mark", "complete"), "0"),
    **dict.fromkeys(("mode", "uid", "gid", "target", "xattrs"), "NULL"),
    **dict.fromkeys(("spool", "edit", "base", "base_size", "base_etag", "base_file"), "NULL"),
    **dict.fromkeys(("stale", "error", "conflict_of"), "NULL"),
    **dict.fromkeys(("changed_ns", "attempts", "not_before_ns"), "0"),
}
TOLD_COLUMNS: tuple[str, ...] = tuple(name for name in NODE_COLUMNS if name not in UNTOUCHED)

# Made where an older state has none.  Few rows are in them; without, a start and a look at the status would read all.
INDEXES: tuple[str, ...] = (
    "CREATE INDEX IF NOT EXISTS nodes_with_spool ON nodes (spool) WHERE spool IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS nodes_stale ON nodes (stale) WHERE stale IS NOT NULL",
)

TABLES: tuple[str, ...] = (
    "CREATE TABLE nodes (" + ", ".join(f"{name} {declaration}" for name, declaration in _NODES) + ")",
    "CREATE INDEX nodes_by_name ON nodes (parent, folded) WHERE parent IS NOT NULL",
    "CREATE UNIQUE INDEX nodes_by_item ON nodes (kind, item_id) WHERE item_id IS NOT NULL",
    "CREATE INDEX nodes_pending ON nodes (remote_parent) WHERE pending = 1",
    # Small facts by name: "position" (of the event stream), "account", "root", "next_ino" …; values are text.
    # "synced:N": JSON of what of spool N a program has had fsynced last (extents, size, what stands below).
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # Spool files: `number` is the file's name; `extents` the ranges of it that hold bytes of the file, as
    # store/extents.py writes them.  A file without a row is an orphan of a crash and is swept at the start.
    "CREATE TABLE spools (number INTEGER PRIMARY KEY, extents TEXT NOT NULL)",
    # Chunked uploads under way.  `edit` of the inode that is being sent; `session`: JSON of what Box opened.
    "CREATE TABLE sessions (ino INTEGER PRIMARY KEY, edit INTEGER NOT NULL, session TEXT NOT NULL)",
    # Parts that Box has acknowledged: JSON of part id, size, sha1.
    "CREATE TABLE parts (ino INTEGER NOT NULL, offset INTEGER NOT NULL, part TEXT NOT NULL,"
    " PRIMARY KEY (ino, offset)) WITHOUT ROWID",
)
