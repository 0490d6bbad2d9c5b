//! The migrations of both databases, and whether a database may be opened with them.
//!
//! The table of applied migrations has a name of its own: another program in the same database may use sqlx's default name.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use super::OpenError;

/// The table of applied migrations.
pub(super) const MIGRATIONS_TABLE: &str = "tokend_migrations";

/// Version, name and text of each migration; append only.
type Texts = &'static [(i64, &'static str, &'static str)];

const SQLITE: Texts = &[
    (1, "foundation", include_str!("migrations/sqlite/0001_foundation.sql")),
    (2, "key_lifecycle", include_str!("migrations/sqlite/0002_key_lifecycle.sql")),
    (3, "sealing_keys", include_str!("migrations/sqlite/0003_sealing_keys.sql")),
    (4, "users", include_str!("migrations/sqlite/0004_users.sql")),
    (5, "assertions", include_str!("migrations/sqlite/0005_assertions.sql")),
    (6, "sessions", include_str!("migrations/sqlite/0006_sessions.sql")),
    (7, "json_or_null", include_str!("migrations/sqlite/0007_json_or_null.sql")),
    (8, "client_permissions", include_str!("migrations/sqlite/0008_client_permissions.sql")),
    (9, "integrity", include_str!("migrations/sqlite/0009_integrity.sql")),
];
const POSTGRES: Texts = &[
    (1, "foundation", include_str!("migrations/postgres/0001_foundation.sql")),
    (2, "key_lifecycle", include_str!("migrations/postgres/0002_key_lifecycle.sql")),
    (3, "sealing_keys", include_str!("migrations/postgres/0003_sealing_keys.sql")),
    (4, "users", include_str!("migrations/postgres/0004_users.sql")),
    (5, "assertions", include_str!("migrations/postgres/0005_assertions.sql")),
    (6, "sessions", include_str!("migrations/postgres/0006_sessions.sql")),
    (7, "json_or_null", include_str!("migrations/postgres/0007_json_or_null.sql")),
    (8, "client_permissions", include_str!("migrations/postgres/0008_client_permissions.sql")),
    (9, "integrity", include_str!("migrations/postgres/0009_integrity.sql")),
];

/// A migration that a database lists as applied: version and checksum.
pub(super) type Applied = (i64, Vec<u8>);

/// The state of a database's schema, compared with this binary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaState {
    /// Every migration is applied.
    Current,
    /// Some migrations are missing.
    Outdated,
}

/// The migrations of one database.
#[derive(Debug)]
pub(super) struct Schema {
    migrator: Migrator,
}

impl Schema {
    pub(super) fn sqlite() -> Self {
        Self::of(SQLITE)
    }

    pub(super) fn postgres() -> Self {
        Self::of(POSTGRES)
    }

    fn of(texts: Texts) -> Self {
        let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
            let name = Cow::Borrowed(name);
            Migration::new(version, name, MigrationType::Simple, sql.into_sql_str(), false)
        };
        let mut migrator = Migrator::with_migrations(texts.iter().map(migration).collect());
        migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
        Self { migrator }
    }

    /// Applies the missing migrations, each in a transaction. On an error the connection may still hold the lock of
    /// the migrations: close it.
    pub(super) async fn apply<C: Migrate>(&self, connection: &mut C) -> Result<(), OpenError> {
        // The future of `Migrator::run` cannot be proved to be `Send`.
        self.migrator.run_direct(None, connection, false).await.map_err(|error| self.failed(error))
    }

    fn newest(&self) -> i64 {
        self.migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
    }

    /// The state of a database with these applied migrations.
    ///
    /// # Errors
    /// When a newer tokend, or a tokend with another text of a migration, has migrated the database.
    pub(super) fn state(&self, applied: &[Applied]) -> Result<SchemaState, OpenError> {
        let known = self.newest();
        if let Some(found) = applied.iter().map(|(version, _)| *version).max().filter(|found| *found > known)
        {
            return Err(OpenError::Newer { found, known });
        }
        for (version, checksum) in applied {
            let ours = self.migrator.iter().find(|migration| migration.version == *version);
            if ours.is_none_or(|ours| *ours.checksum != **checksum) {
                return Err(Self::changed_text(*version));
            }
        }
        let is_applied =
            |migration: &Migration| applied.iter().any(|(version, _)| *version == migration.version);
        Ok(if self.migrator.iter().all(is_applied) { SchemaState::Current } else { SchemaState::Outdated })
    }

    /// Whether the list holds this schema's first migration, which no other program's list does.
    pub(super) fn recognizes(&self, applied: &[Applied]) -> bool {
        let Some(first) = self.migrator.iter().next() else { return false };
        applied.iter().any(|(version, checksum)| *version == first.version && **checksum == *first.checksum)
    }

    fn failed(&self, error: MigrateError) -> OpenError {
        match error {
            // Another process has migrated the database since the list was read.
            MigrateError::VersionMissing(found) => OpenError::Newer { found, known: self.newest() },
            MigrateError::VersionMismatch(version) => Self::changed_text(version),
            MigrateError::ExecuteMigration(error, version) => {
                OpenError::Migration { version, problem: error.to_string() }
            }
            error => OpenError::Migration { version: self.newest(), problem: error.to_string() },
        }
    }

    fn changed_text(version: i64) -> OpenError {
        let problem = "it was applied with a text that differs from the text in this tokend".to_owned();
        OpenError::Migration { version, problem }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_one_and_both_databases_have_the_same() {
        for schema in [Schema::sqlite(), Schema::postgres()] {
            let versions: Vec<i64> = schema.migrator.iter().map(|migration| migration.version).collect();
            assert!(versions.iter().copied().eq(1..=schema.newest()), "{versions:?}");
        }
        let names =
            |texts: Texts| texts.iter().map(|(version, name, _)| (*version, *name)).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
    }

    #[test]
    fn the_state_follows_from_the_list_of_applied_migrations() {
        let schema = Schema::sqlite();
        let ours: Vec<Applied> =
            schema.migrator.iter().map(|ours| (ours.version, ours.checksum.to_vec())).collect();
        assert_eq!(schema.state(&[]).unwrap(), SchemaState::Outdated);
        assert_eq!(schema.state(&ours).unwrap(), SchemaState::Current);
        let newer = [ours.clone(), vec![(schema.newest() + 7, vec![1])]].concat();
        let known = schema.newest();
        assert!(
            matches!(schema.state(&newer), Err(OpenError::Newer { found, known: ours }) if found == known + 7 && ours == known)
        );
        let edited = [(1, b"another text".to_vec())];
        assert!(matches!(schema.state(&edited), Err(OpenError::Migration { version: 1, .. })));
    }
}
