-- Keys get a timeline, and a public half of their own, so that the private one can go when they retire. A running
-- replica of the release before goes on with the table: what it names is all still there.

-- The last change to any key: whoever changes keys says what they were as of, and is refused if it was not the last.
ALTER TABLE change_sequence ADD COLUMN keys BIGINT NOT NULL DEFAULT 0;
ALTER TABLE change_sequence ADD CHECK (keys BETWEEN 0 AND value);

ALTER TABLE signing_keys
    -- The private half, sealed; NULL when it was erased, or when there never was one.
    ALTER COLUMN sealed DROP NOT NULL,
    ADD COLUMN usage            TEXT COLLATE "C" NOT NULL DEFAULT 'sign' CHECK (usage IN ('sign', 'verify')),
    -- Whose tokens it verifies; NULL: this issuer's own.
    ADD COLUMN issuer           TEXT CHECK (issuer <> ''),
    -- The public half as a JWK; NULL for a secret, and for a key of the release before until it is adopted.
    ADD COLUMN public           TEXT CHECK (public IS NULL OR public::json IS NOT NULL),
    ADD COLUMN activate_at      BIGINT,
    ADD COLUMN retire_at        BIGINT,
    ADD COLUMN expire_at        BIGINT,
    -- Who ended it, when and why.
    ADD COLUMN revocation       TEXT CHECK (revocation IS NULL OR revocation::json IS NOT NULL),
    ADD COLUMN publish_sequence BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN changed_sequence BIGINT NOT NULL DEFAULT 0;

UPDATE signing_keys SET revocation = json_build_object('time', created_at, 'reason', '', 'by', '') WHERE state = 'revoked';

ALTER TABLE signing_keys
    ADD CHECK ((state = 'revoked') = (revocation IS NOT NULL)),
    ADD CHECK (state NOT IN ('pending', 'active') OR (usage = 'sign' AND sealed IS NOT NULL));

-- The guard behind "one pending key an algorithm".
CREATE UNIQUE INDEX one_pending_key ON signing_keys (algorithm) WHERE state = 'pending';

-- What each replica holds, so that the others can wait for it. Written when it changes; says nothing of who is alive.
CREATE TABLE replicas (
    replica_id TEXT COLLATE "C" PRIMARY KEY CHECK (replica_id <> ''),
    held       BIGINT NOT NULL,
    -- How many of its verifiers hold which change: a JSON list.
    verifiers  TEXT NOT NULL CHECK (verifiers::json IS NOT NULL)
);
