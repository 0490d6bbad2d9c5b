-- Applied migrations are never edited: add a file with the next number.
-- Instants are whole seconds since 1970-01-01T00:00:00Z. STRICT: a column holds its type and nothing else.

-- Marks the file as tokend's ("tokd"), so that another program's database is never taken for one.
PRAGMA application_id = 1953459044;

-- Counts the changes to keys and clients. One row, which every change updates in its transaction.
CREATE TABLE change_sequence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL CHECK (value >= 0)
) STRICT;

INSERT INTO change_sequence (only_row, value) VALUES (1, 0);

CREATE TABLE signing_keys (
    key_id     TEXT PRIMARY KEY CHECK (key_id <> ''),
    -- Not listed here: a new algorithm must not need a new table.
    algorithm  TEXT NOT NULL CHECK (algorithm <> ''),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'revoked')),
    sealed     BLOB NOT NULL CHECK (length(sealed) > 0),
    created_at INTEGER NOT NULL
) STRICT;

-- The guard behind "one active key an algorithm": of racing inserts one wins.
CREATE UNIQUE INDEX one_active_key ON signing_keys (algorithm) WHERE state = 'active';

CREATE TABLE clients (
    client_id  TEXT PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 63),
    -- One JSON document: its fields are read together, and nothing is ever looked up by one of them.
    settings   TEXT NOT NULL CHECK (json_valid(settings)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL CHECK (revision >= 1)
) STRICT;

CREATE TABLE client_secrets (
    secret_id  TEXT PRIMARY KEY CHECK (secret_id <> ''),
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- SHA-256. Unique: a secret belongs to one client.
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- Tells which of two secrets of the same second is older.
    ordinal    INTEGER NOT NULL CHECK (ordinal >= 1),
    UNIQUE (client_id, ordinal)
) STRICT;
