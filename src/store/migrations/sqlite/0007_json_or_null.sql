-- json_valid(NULL) is NULL in newer SQLite, which passes a CHECK, and 0 in older SQLite (3.40, Debian 12), which fails it: a dump
-- restored there lost every signing key. The two constraints now admit NULL explicitly. SQLite cannot change a constraint, so
-- the table is rebuilt (https://www.sqlite.org/lang_altertable.html, section 7). No foreign key, trigger or view names the table.
-- A running replica of the previous release goes on: names, columns and their order are unchanged.
CREATE TABLE signing_keys_new (
    key_id           TEXT PRIMARY KEY CHECK (key_id <> ''),
    -- Not listed here: a new algorithm must not need a new table.
    algorithm        TEXT NOT NULL CHECK (algorithm <> ''),
    state            TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'revoked')),
    -- The sealed private half; NULL when it was erased, or when there never was one.
    sealed           BLOB CHECK (length(sealed) > 0),
    created_at       INTEGER NOT NULL,
    usage            TEXT NOT NULL DEFAULT 'sign' CHECK (usage IN ('sign', 'verify')),
    -- The issuer whose tokens it verifies; NULL: this issuer.
    issuer           TEXT CHECK (issuer <> ''),
    -- The public half as a JWK; NULL for a secret.
    public           TEXT CHECK (public IS NULL OR json_valid(public)),
    activate_at      INTEGER,
    retire_at        INTEGER,
    expire_at        INTEGER,
    -- The time, reason and author of the revocation.
    revocation       TEXT CHECK (revocation IS NULL OR json_valid(revocation)),
    publish_sequence INTEGER NOT NULL DEFAULT 0,
    changed_sequence INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'revoked') = (revocation IS NOT NULL)),
    CHECK (state NOT IN ('pending', 'active') OR (usage = 'sign' AND sealed IS NOT NULL))
) STRICT;

INSERT INTO signing_keys_new (key_id, algorithm, state, sealed, created_at, usage, issuer, public, activate_at, retire_at,
                              expire_at, revocation, publish_sequence, changed_sequence)
SELECT key_id, algorithm, state, sealed, created_at, usage, issuer, public, activate_at, retire_at,
       expire_at, revocation, publish_sequence, changed_sequence
FROM signing_keys;

DROP TABLE signing_keys;

ALTER TABLE signing_keys_new RENAME TO signing_keys;

-- At most one active and one pending key per algorithm.
CREATE UNIQUE INDEX one_active_key ON signing_keys (algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX one_pending_key ON signing_keys (algorithm) WHERE state = 'pending';
