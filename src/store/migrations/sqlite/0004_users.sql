-- People who log in with a name and a password.
CREATE TABLE users (
    user_id             TEXT PRIMARY KEY CHECK (length(user_id) BETWEEN 1 AND 255),
    -- In the form in which names are compared. Unique: of racing users with one name, one wins.
    username            TEXT NOT NULL UNIQUE CHECK (username <> ''),
    disabled            INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    -- One JSON object, each value exactly as it was given.
    claims              TEXT NOT NULL CHECK (json_valid(claims)),
    -- A JSON list.
    scopes              TEXT NOT NULL CHECK (json_valid(scopes)),
    -- argon2 in PHC form, or bcrypt.
    password_hash       TEXT NOT NULL CHECK (password_hash <> ''),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    password_updated_at INTEGER NOT NULL,
    revision            INTEGER NOT NULL CHECK (revision >= 1)
) STRICT;
