-- Sealing keys that somebody else wrapped, such as Vault: without that provider they are of no use.
CREATE TABLE sealing_keys (
    sealing_key_id TEXT PRIMARY KEY CHECK (sealing_key_id <> ''),
    provider       TEXT NOT NULL CHECK (provider <> ''),
    wrapped        BLOB NOT NULL CHECK (length(wrapped) > 0),
    created_at     INTEGER NOT NULL,
    -- A provider's keys in their order: the last one seals. Unique, so that of racing inserts one wins.
    ordinal        INTEGER NOT NULL CHECK (ordinal >= 1),
    UNIQUE (provider, ordinal)
) STRICT;
