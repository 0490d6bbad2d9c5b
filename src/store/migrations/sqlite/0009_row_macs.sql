-- Rows that decide trust carry a MAC under a key derived from the sealing key. NULL: not signed yet. A running replica of the
-- release before does not know the column: its inserts leave it NULL, and of its updates the triggers make it NULL, for the
-- MAC that was there is of the row as it was. Each MAC holds fresh random bytes, so that an update by this release always
-- changes it.
ALTER TABLE signing_keys ADD COLUMN mac BLOB CHECK (length(mac) > 0);
ALTER TABLE clients ADD COLUMN mac BLOB CHECK (length(mac) > 0);

CREATE TRIGGER signing_keys_stale_mac AFTER UPDATE ON signing_keys
WHEN new.mac IS NOT NULL AND new.mac IS old.mac
BEGIN
    UPDATE signing_keys SET mac = NULL WHERE key_id = new.key_id;
END;

CREATE TRIGGER clients_stale_mac AFTER UPDATE ON clients
WHEN new.mac IS NOT NULL AND new.mac IS old.mac
BEGIN
    UPDATE clients SET mac = NULL WHERE client_id = new.client_id;
END;
