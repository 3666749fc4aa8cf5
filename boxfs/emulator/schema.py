"""The tables of the emulator.

Numbers: files, folders and web links count separately from one start, so that they do share numbers (trap 2).
`pk` = number * 4 + (0 folder, 1 file, 2 web link) is the key of an item everywhere inside.  Each user's root is a
row of its own with the number -user; outside it is called "0".  Times are seconds since the epoch.
"""

FIRST_NUMBER = 5_000_000_001  # ids of Box exceed 32 bits
FIRST_POSITION = 30_401_068_076_164_000  # positions of the event stream exceed 2^53 (trap 26)

SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, login TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL,
    space_amount INTEGER,                 -- NULL: the knob
    space_used INTEGER NOT NULL DEFAULT 0, -- current versions of all owned files, the trash included
    extra TEXT NOT NULL DEFAULT '{}'       -- JSON: role, job_title, is_platform_access_only, …
);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, user INTEGER NOT NULL,
    expires_at REAL,                      -- NULL: never
    extra TEXT NOT NULL DEFAULT '{}'       -- JSON: scopes, restrictions, pair, client
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    pk INTEGER PRIMARY KEY, number INTEGER NOT NULL,
    kind TEXT NOT NULL,                   -- folder, file, web_link
    parent INTEGER,                       -- number of the folder; kept in the trash; NULL for roots
    owner INTEGER NOT NULL,
    name TEXT NOT NULL, folded TEXT NOT NULL,
    rank INTEGER NOT NULL,                -- 0 folder, 1 file, 2 web link: listings come in this order
    etag INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL,
    content_created_at INTEGER NOT NULL, content_modified_at INTEGER NOT NULL,
    created_by INTEGER NOT NULL, modified_by INTEGER NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    trashed_at INTEGER,                   -- set where the item itself was trashed, not for what lies below it
    trashed_by INTEGER,
    size INTEGER NOT NULL DEFAULT 0,      -- of a folder: all untrashed files below, kept up with every change
    sha1 TEXT, version INTEGER, version_number INTEGER,
    url TEXT,
    lock TEXT,                            -- JSON
    extra TEXT NOT NULL DEFAULT '{}'       -- JSON: tags, sync_state, shared_link, collections …
);
CREATE UNIQUE INDEX IF NOT EXISTS items_name ON items (parent, folded) WHERE trashed_at IS NULL;
CREATE INDEX IF NOT EXISTS items_listing ON items (parent, rank, folded, number) WHERE trashed_at IS NULL;
CREATE INDEX IF NOT EXISTS items_trash ON items (owner, rank, folded, number) WHERE trashed_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS versions (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, number INTEGER NOT NULL,
    sha1 TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, modified_by INTEGER NOT NULL,
    content_modified_at INTEGER NOT NULL,
    trashed_at INTEGER, trashed_by INTEGER, restored_at INTEGER, restored_by INTEGER
);
CREATE INDEX IF NOT EXISTS versions_file ON versions (file, id);
CREATE INDEX IF NOT EXISTS versions_sha1 ON versions (sha1);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, user INTEGER NOT NULL, parent INTEGER, file INTEGER, name TEXT NOT NULL,
    size INTEGER NOT NULL, part_size INTEGER NOT NULL, expires_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',    -- open, done
    commits INTEGER NOT NULL DEFAULT 0     -- commits asked so far
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    session TEXT NOT NULL, offset INTEGER NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, sha1 TEXT NOT NULL,
    PRIMARY KEY (session, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folder_locks (
    id INTEGER PRIMARY KEY, folder INTEGER NOT NULL UNIQUE, user INTEGER NOT NULL, created_at INTEGER NOT NULL,
    operations TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS downloads (
    token TEXT PRIMARY KEY, sha1 TEXT NOT NULL, size INTEGER NOT NULL, name TEXT NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, actor INTEGER NOT NULL,
    pk INTEGER,                           -- the item; NULL: see source
    source TEXT,                          -- JSON of a source that is no item (a collaboration, a user)
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS streams (
    user INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (user, position)
) WITHOUT ROWID;
"""
