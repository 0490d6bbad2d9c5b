//! What calls leave behind, and how much is taken on of them.

use super::setting::{Kind, Setting, number, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "audit_mode",
        Kind::Text,
        "MODE",
        Some("buffered"),
        "What becomes of calls whose audit event cannot be written: `required` refuses them, `buffered` answers them and counts what is lost; `off` writes none",
    ),
    setting(
        "audit_sinks",
        Kind::List,
        "NAMES",
        Some("stdout"),
        "Where audit events are written, with commas between: `stdout`, `file`, `postgres`",
    ),
    setting(
        "audit_file",
        Kind::Path,
        "FILE",
        None,
        "The file of the sink `file`, one JSON object a line; made for its owner only, and made again when it was renamed or removed",
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
        "Audit events that may wait for each sink; beyond them, `buffered` loses and `required` refuses",
    ),
    number(
        "client_calls_per_second",
        "0",
        (0, 1_000_000),
        "Calls a second of one client, in the long run, unless the client has a limit of its own; 0 is no limit",
    ),
    number(
        "client_concurrent_calls",
        "0",
        (0, 1_000_000),
        "Calls of one client at once, unless the client has a limit of its own; 0 is no limit",
    ),
    number(
        "lane_queue",
        "1000",
        (0, 1_000_000),
        "Calls that may wait for their turn in each lane (`docs/observability.md`); more are refused at once",
    ),
    setting(
        "otlp_endpoint",
        Kind::Text,
        "URL",
        None,
        "Where traces are sent, as OTLP over gRPC, such as `http://collector:4317`; without it nothing is traced",
    ),
    setting(
        "trace_sample_ratio",
        Kind::Text,
        "RATIO",
        Some("0.01"),
        "The share of calls that are traced where their caller does not decide, from `0` to `1`",
    ),
    setting(
        "trace_follow_callers",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Whether a caller that sends `traceparent` decides whether its call is traced; else the ratio alone does",
    ),
];
