-- Applied migrations are never edited: add a file with the next number.
-- Instants are whole seconds since 1970-01-01T00:00:00Z. Ids sort by bytes (COLLATE "C"), in whatever locale
-- the database was made.

-- Counts the changes to keys and clients. One row, which every change updates in its transaction: its lock puts
-- the changes of all replicas in a line, so that the numbers are committed in order.
CREATE TABLE change_sequence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    BIGINT NOT NULL CHECK (value >= 0)
);

INSERT INTO change_sequence (only_row, value) VALUES (1, 0);

CREATE TABLE signing_keys (
    key_id     TEXT COLLATE "C" PRIMARY KEY CHECK (key_id <> ''),
    -- Not listed here: a new algorithm must not need a change to the table.
    algorithm  TEXT COLLATE "C" NOT NULL CHECK (algorithm <> ''),
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'revoked')),
    sealed     BYTEA NOT NULL CHECK (octet_length(sealed) > 0),
    created_at BIGINT NOT NULL
);

-- The guard behind "one active key an algorithm": of racing inserts one wins.
CREATE UNIQUE INDEX one_active_key ON signing_keys (algorithm) WHERE state = 'active';

CREATE TABLE clients (
    client_id  TEXT COLLATE "C" PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 63),
    -- One JSON document: its fields are read together, and nothing is ever looked up by one of them. Text, as
    -- jsonb would refuse U+0000 and write numbers in another way.
    settings   TEXT NOT NULL CHECK (settings::json IS NOT NULL),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision   BIGINT NOT NULL CHECK (revision >= 1)
);

CREATE TABLE client_secrets (
    secret_id  TEXT COLLATE "C" PRIMARY KEY CHECK (secret_id <> ''),
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- SHA-256. Unique: a secret belongs to one client.
    digest     BYTEA NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    -- Tells which of two secrets of the same second is older.
    ordinal    BIGINT NOT NULL CHECK (ordinal >= 1),
    UNIQUE (client_id, ordinal)
);
