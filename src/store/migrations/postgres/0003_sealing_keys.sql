-- Sealing keys that somebody else wrapped, such as Vault: without that provider they are of no use.
CREATE TABLE sealing_keys (
    sealing_key_id TEXT COLLATE "C" PRIMARY KEY CHECK (sealing_key_id <> ''),
    provider       TEXT COLLATE "C" NOT NULL CHECK (provider <> ''),
    wrapped        BYTEA NOT NULL CHECK (octet_length(wrapped) > 0),
    created_at     BIGINT NOT NULL,
    -- A provider's keys in their order: the last one seals. Unique, so that of racing inserts one wins.
    ordinal        BIGINT NOT NULL CHECK (ordinal >= 1),
    UNIQUE (provider, ordinal)
);
