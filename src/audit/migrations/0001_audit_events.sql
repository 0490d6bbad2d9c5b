-- One row for each line of the audit log. Nothing here is ever changed or deleted by tokend.
CREATE TABLE audit_events (
    -- The run of the process that wrote it, and the line's number in that run: a missing number is a lost line.
    instance text NOT NULL,
    sequence bigint NOT NULL,
    time timestamptz NOT NULL,
    -- The line itself.
    event jsonb NOT NULL,
    PRIMARY KEY (instance, sequence)
);

CREATE INDEX audit_events_by_time ON audit_events (time);
CREATE INDEX audit_events_by_client ON audit_events ((event ->> 'client_id'), time);
CREATE INDEX audit_events_by_subject ON audit_events ((event ->> 'subject'), time);
CREATE INDEX audit_events_by_token ON audit_events ((event ->> 'jti'));
