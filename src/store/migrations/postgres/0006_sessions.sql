-- Sessions, each a row until it ends, and revocations, each a row until nobody accepts what it revokes any more. A running replica
-- of the release before goes on with the tables: it knows neither of the new ones.

-- How many of the changes were revocations. Whoever holds keys and clients in memory asks for the others' number alone.
ALTER TABLE change_sequence ADD COLUMN revocations BIGINT NOT NULL DEFAULT 0;
ALTER TABLE change_sequence ADD CHECK (revocations BETWEEN 0 AND value);

CREATE TABLE sessions (
    session_id       TEXT COLLATE "C" PRIMARY KEY CHECK (length(session_id) = 22),
    client_id        TEXT COLLATE "C" NOT NULL CHECK (client_id <> ''),
    subject          TEXT COLLATE "C" NOT NULL CHECK (subject <> ''),
    -- Who logged in; NULL: nobody did.
    user_id          TEXT COLLATE "C" CHECK (user_id <> ''),
    -- What its tokens may hold: one JSON document, as nothing is ever looked up by it. Text, as jsonb would refuse U+0000.
    scope            TEXT NOT NULL CHECK (scope::json IS NOT NULL),
    -- What marks the session's refresh tokens.
    family           BYTEA NOT NULL CHECK (octet_length(family) = 32),
    -- SHA-256 of the refresh token that is good now.
    current_digest   BYTEA NOT NULL CHECK (octet_length(current_digest) = 32),
    -- The one before it: SHA-256, when it was used and by which request, and its successor, sealed under what only it yields.
    replaced_digest  BYTEA CHECK (octet_length(replaced_digest) = 32),
    replaced_at      BIGINT,
    replaced_request BYTEA CHECK (octet_length(replaced_request) = 32),
    successor        BYTEA CHECK (octet_length(successor) > 0),
    created_at       BIGINT NOT NULL,
    refreshed_at     BIGINT NOT NULL,
    idle_expires_at  BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    CHECK ((replaced_digest IS NULL) = (replaced_at IS NULL)),
    CHECK ((replaced_digest IS NULL) = (successor IS NULL)),
    CHECK (replaced_digest IS NOT NULL OR replaced_request IS NULL),
    -- So that the first of the two alone says when a session has ended.
    CHECK (idle_expires_at <= expires_at)
);

CREATE INDEX sessions_by_subject ON sessions (subject, session_id);
CREATE INDEX sessions_by_client ON sessions (client_id, session_id);
CREATE INDEX sessions_by_end ON sessions (idle_expires_at);

CREATE TABLE revocations (
    kind          TEXT COLLATE "C" NOT NULL CHECK (kind IN ('token', 'session', 'subject', 'client', 'everything')),
    -- The id of that kind; empty for everything.
    target        TEXT COLLATE "C" NOT NULL,
    -- What was issued from this instant on is not revoked; NULL for a token and a session, which are as a whole.
    issued_before BIGINT,
    revoked_at    BIGINT NOT NULL,
    -- From this instant on nobody accepts what it revokes, and the row may go; NULL: never.
    expires_at    BIGINT,
    -- The change that made it, or made it reach further.
    sequence      BIGINT NOT NULL CHECK (sequence >= 1),
    -- Whether there may be sessions that it has ended and that are not deleted yet: until then it stays.
    sweep         BOOLEAN NOT NULL,
    PRIMARY KEY (kind, target),
    CHECK ((kind IN ('token', 'session')) = (issued_before IS NULL)),
    CHECK (kind <> 'everything' OR target = '')
);

CREATE UNIQUE INDEX revocations_by_sequence ON revocations (sequence);
CREATE INDEX revocations_by_end ON revocations (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX revocations_to_sweep ON revocations (kind) WHERE sweep;
