-- Rows that decide trust carry a MAC under a key derived from the sealing key. NULL: not signed yet. A running replica of the
-- release before does not know the column: its inserts leave it NULL, and of its updates the triggers make it NULL, for the
-- MAC that was there is of the row as it was. Each MAC holds fresh random bytes, so that an update by this release always
-- changes it.
ALTER TABLE signing_keys ADD COLUMN mac BYTEA CHECK (octet_length(mac) > 0);
ALTER TABLE clients ADD COLUMN mac BYTEA CHECK (octet_length(mac) > 0);

CREATE FUNCTION tokend_stale_mac() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.mac := NULL;
    RETURN new;
END
$$;

CREATE TRIGGER signing_keys_stale_mac BEFORE UPDATE ON signing_keys FOR EACH ROW
WHEN (new.mac = old.mac) EXECUTE FUNCTION tokend_stale_mac();

CREATE TRIGGER clients_stale_mac BEFORE UPDATE ON clients FOR EACH ROW
WHEN (new.mac = old.mac) EXECUTE FUNCTION tokend_stale_mac();
