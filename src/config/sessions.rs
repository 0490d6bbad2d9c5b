//! The settings of sessions, and of what is revoked.

use super::reader::Reader;
use crate::{revocations::RevocationSettings, tokens::SessionPolicy};

/// How long sessions last.
pub(super) fn sessions(reader: &mut Reader<'_>) -> SessionPolicy {
    SessionPolicy {
        idle_ttl: reader.duration("session_idle_ttl"),
        max_ttl: reader.duration("session_max_ttl"),
        reuse_window: reader.duration("refresh_reuse_window"),
    }
}

/// How old the view of the revocations may be.
pub(super) fn revocations(reader: &mut Reader<'_>) -> RevocationSettings {
    RevocationSettings {
        staleness_bound: reader.duration("staleness_bound"),
        serve_stale: reader.bool("serve_stale").unwrap_or_default(),
    }
}
