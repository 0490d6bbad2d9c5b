-- People who log in with a name and a password. Names compare by bytes (COLLATE "C"), in whatever locale the database
-- was made: tokend has brought them to one form.
CREATE TABLE users (
    user_id             TEXT COLLATE "C" PRIMARY KEY CHECK (length(user_id) BETWEEN 1 AND 255),
    -- In the form in which names are compared. Unique: of racing users with one name, one wins.
    username            TEXT COLLATE "C" NOT NULL UNIQUE CHECK (username <> ''),
    disabled            BOOLEAN NOT NULL,
    -- One JSON object, each value exactly as it was given: text, as jsonb would write numbers in another way.
    claims              TEXT NOT NULL CHECK (claims::json IS NOT NULL),
    -- A JSON list.
    scopes              TEXT NOT NULL CHECK (scopes::json IS NOT NULL),
    -- argon2 in PHC form, or bcrypt.
    password_hash       TEXT NOT NULL CHECK (password_hash <> ''),
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    password_updated_at BIGINT NOT NULL,
    revision            BIGINT NOT NULL CHECK (revision >= 1)
);
