-- Keys get a timeline, and a public half of their own, so that the private one can go when they retire.
-- SQLite cannot take NOT NULL from a column: the table is made anew, and a running replica of the release before goes
-- on with it, for what it names is all still there.

-- The last change to any key: whoever changes keys says what they were as of, and is refused if it was not the last.
ALTER TABLE change_sequence ADD COLUMN keys INTEGER NOT NULL DEFAULT 0 CHECK (keys BETWEEN 0 AND value);

CREATE TABLE signing_keys_new (
    key_id           TEXT PRIMARY KEY CHECK (key_id <> ''),
    -- Not listed here: a new algorithm must not need a new table.
    algorithm        TEXT NOT NULL CHECK (algorithm <> ''),
    state            TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'revoked')),
    -- The private half, sealed; NULL when it was erased, or when there never was one.
    sealed           BLOB CHECK (length(sealed) > 0),
    created_at       INTEGER NOT NULL,
    usage            TEXT NOT NULL DEFAULT 'sign' CHECK (usage IN ('sign', 'verify')),
    -- Whose tokens it verifies; NULL: this issuer's own.
    issuer           TEXT CHECK (issuer <> ''),
    -- The public half as a JWK; NULL for a secret, and for a key of the release before until it is adopted.
    public           TEXT CHECK (json_valid(public)),
    activate_at      INTEGER,
    retire_at        INTEGER,
    expire_at        INTEGER,
    -- Who ended it, when and why.
    revocation       TEXT CHECK (json_valid(revocation)),
    publish_sequence INTEGER NOT NULL DEFAULT 0,
    changed_sequence INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'revoked') = (revocation IS NOT NULL)),
    CHECK (state NOT IN ('pending', 'active') OR (usage = 'sign' AND sealed IS NOT NULL))
) STRICT;

INSERT INTO signing_keys_new (key_id, algorithm, state, sealed, created_at, revocation)
SELECT key_id, algorithm, state, sealed, created_at,
       CASE state WHEN 'revoked' THEN json_object('time', created_at, 'reason', '', 'by', '') END
FROM signing_keys;

DROP TABLE signing_keys;

ALTER TABLE signing_keys_new RENAME TO signing_keys;

-- The guards behind "one active and one pending key an algorithm".
CREATE UNIQUE INDEX one_active_key ON signing_keys (algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX one_pending_key ON signing_keys (algorithm) WHERE state = 'pending';

-- What each replica holds, so that the others can wait for it. Written when it changes; says nothing of who is alive.
CREATE TABLE replicas (
    replica_id TEXT PRIMARY KEY CHECK (replica_id <> ''),
    held       INTEGER NOT NULL,
    -- How many of its verifiers hold which change: a JSON list.
    verifiers  TEXT NOT NULL CHECK (json_valid(verifiers))
) STRICT;
