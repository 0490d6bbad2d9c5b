-- Changes a constraint in SQLite only; PostgreSQL's admits NULL already. Kept so that both databases count the same versions.
SELECT 1;
