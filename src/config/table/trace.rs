//! What calls leave behind, and how much is taken on of them.

use super::setting::{Kind, Setting, number, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "audit_mode",
        Kind::Text,
        "MODE",
        Some("buffered"),
        "What happens to calls whose audit event cannot be written: with `required` they fail, with `buffered` they succeed and lost events are counted; `off` writes none",
    ),
    setting(
        "audit_sinks",
        Kind::List,
        "NAMES",
        Some("stdout"),
        "Where audit events are written, separated by commas: `stdout`, `file`, `postgres`",
    ),
    setting(
        "audit_file",
        Kind::Path,
        "FILE",
        None,
        "The file of the sink `file`, one JSON object per line; created for its owner only, and created again when it was renamed or removed",
    ),
    setting(
        "audit_postgres",
        Kind::Secret,
        "FILE",
        None,
        "The database of the sink `postgres`: `postgres://USER:PASSWORD@HOST/DATABASE` (default: the store's, if that is PostgreSQL)",
    ),
    number(
        "audit_buffer",
        "8192",
        (1, 1_000_000),
        "Audit events that may wait for each sink; beyond them, events are lost (`buffered`) or calls fail (`required`)",
    ),
    number(
        "client_calls_per_second",
        "0",
        (0, 1_000_000),
        "Calls per second of one client, on average, unless the client has its own limit; 0 is no limit",
    ),
    number(
        "client_concurrent_calls",
        "0",
        (0, 1_000_000),
        "Concurrent calls of one client, unless the client has its own limit; 0 is no limit",
    ),
    number(
        "lane_queue",
        "1000",
        (0, 1_000_000),
        "Calls that may wait in each lane (`docs/observability.md`); further ones fail at once",
    ),
    setting(
        "otlp_endpoint",
        Kind::Text,
        "URL",
        None,
        "The trace collector, for OTLP over gRPC, such as `http://collector:4317`; without it no call is traced",
    ),
    setting(
        "trace_sample_ratio",
        Kind::Text,
        "RATIO",
        Some("0.01"),
        "The share of calls that are traced if their caller does not decide, from `0` to `1`",
    ),
    setting(
        "trace_follow_callers",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Whether a caller that sends `traceparent` decides whether its call is traced; otherwise only the ratio decides",
    ),
];
