-- Sessions, each a row until it ends, and revocations, each a row until nobody accepts what it revokes any more. A running replica
-- of the release before goes on with the tables: it knows neither of the new ones.

-- How many of the changes were revocations. Whoever holds keys and clients in memory asks for the others' number alone.
ALTER TABLE change_sequence ADD COLUMN revocations INTEGER NOT NULL DEFAULT 0 CHECK (revocations BETWEEN 0 AND value);

CREATE TABLE sessions (
    session_id       TEXT PRIMARY KEY CHECK (length(session_id) = 22),
    client_id        TEXT NOT NULL CHECK (client_id <> ''),
    subject          TEXT NOT NULL CHECK (subject <> ''),
    -- Who logged in; NULL: nobody did.
    user_id          TEXT CHECK (user_id <> ''),
    -- What its tokens may hold: one JSON document, as nothing is ever looked up by it.
    scope            TEXT NOT NULL CHECK (json_valid(scope)),
    -- What marks the session's refresh tokens.
    family           BLOB NOT NULL CHECK (length(family) = 32),
    -- SHA-256 of the refresh token that is good now.
    current_digest   BLOB NOT NULL CHECK (length(current_digest) = 32),
    -- The one before it: SHA-256, when it was used and by which request, and its successor, sealed under what only it yields.
    replaced_digest  BLOB CHECK (length(replaced_digest) = 32),
    replaced_at      INTEGER,
    replaced_request BLOB CHECK (length(replaced_request) = 32),
    successor        BLOB CHECK (length(successor) > 0),
    created_at       INTEGER NOT NULL,
    refreshed_at     INTEGER NOT NULL,
    idle_expires_at  INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    CHECK ((replaced_digest IS NULL) = (replaced_at IS NULL)),
    CHECK ((replaced_digest IS NULL) = (successor IS NULL)),
    CHECK (replaced_digest IS NOT NULL OR replaced_request IS NULL),
    -- So that the first of the two alone says when a session has ended.
    CHECK (idle_expires_at <= expires_at)
) STRICT;

CREATE INDEX sessions_by_subject ON sessions (subject, session_id);
CREATE INDEX sessions_by_client ON sessions (client_id, session_id);
CREATE INDEX sessions_by_end ON sessions (idle_expires_at);

CREATE TABLE revocations (
    kind          TEXT NOT NULL CHECK (kind IN ('token', 'session', 'subject', 'client', 'everything')),
    -- The id of that kind; empty for everything.
    target        TEXT NOT NULL,
    -- What was issued from this instant on is not revoked; NULL for a token and a session, which are as a whole.
    issued_before INTEGER,
    revoked_at    INTEGER NOT NULL,
    -- From this instant on nobody accepts what it revokes, and the row may go; NULL: never.
    expires_at    INTEGER,
    -- The change that made it, or made it reach further.
    sequence      INTEGER NOT NULL CHECK (sequence >= 1),
    -- Whether there may be sessions that it has ended and that are not deleted yet: until then it stays.
    sweep         INTEGER NOT NULL CHECK (sweep IN (0, 1)),
    PRIMARY KEY (kind, target),
    CHECK ((kind IN ('token', 'session')) = (issued_before IS NULL)),
    CHECK (kind <> 'everything' OR target = '')
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX revocations_by_sequence ON revocations (sequence);
CREATE INDEX revocations_by_end ON revocations (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX revocations_to_sweep ON revocations (kind) WHERE sweep = 1;
