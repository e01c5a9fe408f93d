-- How long after the failed attempt the next one was planned, in ms: a bound for retry_at that no clock can move. It is not
-- under the check of the marks; it can only make an attempt come sooner.
ALTER TABLE updates ADD COLUMN retry_delay INTEGER;

-- The oldest dead letters are dropped first.
CREATE INDEX dead_died_at ON dead (died_at);

-- Lanes that go on as others, because their chat got another id.
CREATE TABLE moved_lanes (
    id      INTEGER PRIMARY KEY,     -- order in which they were noted
    lane    TEXT NOT NULL UNIQUE,
    goes_on TEXT NOT NULL,           -- as this lane, which is not in column lane
    at      INTEGER NOT NULL,        -- ms since 1970
    sum     INTEGER NOT NULL         -- checksum of lane and goes_on
) STRICT;

-- The id of the update that was kept last, so that a jump is noticed across a restart.
CREATE TABLE last_ids (
    bot       INTEGER PRIMARY KEY,
    update_id INTEGER NOT NULL
) STRICT
