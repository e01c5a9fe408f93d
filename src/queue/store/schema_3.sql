-- Broadcasts: one message to many chats. A dropped one has no name any more; its chats go in the course of maintenance.
CREATE TABLE broadcasts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    bot        INTEGER NOT NULL,
    name       TEXT,
    started_at INTEGER NOT NULL,    -- ms since 1970
    state      INTEGER NOT NULL,    -- 0 open, 1 completed, 2 cancelled, 3 dropped
    ended_at   INTEGER,             -- ms since 1970
    swept      INTEGER NOT NULL,    -- 1 when its chats were dropped because of its age
    sent       INTEGER NOT NULL,    -- these five are set when it ends
    blocked    INTEGER NOT NULL,
    unknown    INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    moved      INTEGER NOT NULL,
    sum        INTEGER NOT NULL     -- checksum of id .. started_at
) STRICT;

CREATE UNIQUE INDEX broadcasts_name ON broadcasts (bot, name);

-- What is known about each chat of a broadcast.
CREATE TABLE broadcast_chats (
    broadcast INTEGER NOT NULL,
    chat      INTEGER NOT NULL,
    state     INTEGER NOT NULL,     -- 0 begun, 1 sent, 2 blocked, 3 unknown, 4 failed, 5 moved, 6 unknown and to be repeated
    at        INTEGER NOT NULL,     -- ms since 1970
    moved_to  INTEGER,
    reason    TEXT,
    sum       INTEGER NOT NULL,     -- checksum of everything before
    PRIMARY KEY (broadcast, chat)
) STRICT, WITHOUT ROWID;

-- What a new start has to look at.
CREATE INDEX broadcast_chats_open ON broadcast_chats (broadcast, state) WHERE state IN (0, 3, 6)
