-- Updates that are not finished, in the order in which they arrived.
CREATE TABLE updates (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    bot         INTEGER NOT NULL,
    update_id   INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    lane        TEXT NOT NULL,
    received_at INTEGER NOT NULL,    -- ms since 1970
    state       INTEGER NOT NULL,    -- 0 waits, 1 an attempt was started
    attempt     INTEGER NOT NULL,    -- number of the attempt to make next, or that was started
    waits       INTEGER NOT NULL,
    crashes     INTEGER NOT NULL,
    retry_at    INTEGER,             -- ms since 1970
    mark        INTEGER NOT NULL,    -- check over state .. retry_at
    errors      TEXT,                -- JSON array of texts, oldest first
    sum         INTEGER NOT NULL,    -- checksum of seq .. received_at, length of raw, and hash
    hash        INTEGER NOT NULL,    -- checksum of raw
    raw         TEXT NOT NULL        -- last, so that scans need not follow it to other pages
) STRICT;

-- Dead letters. They keep their place, and with it their checksum.
CREATE TABLE dead (
    seq         INTEGER PRIMARY KEY,
    bot         INTEGER NOT NULL,
    update_id   INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    lane        TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    died_at     INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    waits       INTEGER NOT NULL,
    crashes     INTEGER NOT NULL,
    errors      TEXT,
    sum         INTEGER NOT NULL,
    hash        INTEGER NOT NULL,
    raw         TEXT NOT NULL
) STRICT;

-- Identities of updates that were pushed within the dedup window.
CREATE TABLE seen (
    bot       INTEGER NOT NULL,
    update_id INTEGER NOT NULL,
    hash      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (bot, update_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_at ON seen (at);

-- What is left of damaged rows. No types and no rules: whatever there is, is kept.
CREATE TABLE set_aside (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    why  TEXT NOT NULL,
    seq, bot, update_id, kind, lane, received_at, state, attempt, waits, crashes, retry_at, mark, errors, sum, hash, raw
);

-- The owner's epoch, and counts that are kept in every transaction: what they do not match was lost.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('owner_epoch', 0), ('rows', 0), ('bytes', 0), ('dead', 0), ('seen', 0), ('expired', 0)
