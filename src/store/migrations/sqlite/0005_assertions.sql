-- Assertions of clients (RFC 7523) that were used, so that none is used twice.
CREATE TABLE used_assertions (
    -- SHA-256 of the client's id and the assertion's. Unique: of racing uses one is the first.
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    -- From this instant on no replica takes the assertion any more, and the row may go.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
