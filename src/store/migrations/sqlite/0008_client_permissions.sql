-- Permissions that the release before does not know: one JSON object. They are not in `settings`, of which that release refuses a
-- document with unknown fields. NULL: the client was registered by a release without them, and has the rights that it had there.
-- That release goes on with the table: it never names this column, so that its changes of a client leave these permissions as they are.
ALTER TABLE clients ADD COLUMN permissions TEXT CHECK (permissions IS NULL OR json_valid(permissions));
