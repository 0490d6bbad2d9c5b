//! A record of the audit log, with its sequence number and time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;

use super::{Event, PlannedChange};
use crate::{clock::Clock, model::UnixTime};

/// A record for every sink.
#[derive(Debug)]
pub(super) struct AuditRecord {
    /// Identifies the process.
    pub(super) instance: Arc<str>,
    /// The number of the record in this process, from 1. A gap shows that a record was lost.
    pub(super) sequence: u64,
    /// The time of the record.
    pub(super) time: UnixTime,
    content: Content,
    json: OnceLock<String>,
}

#[derive(Debug)]
enum Content {
    Call(Box<Event>),
    KeysChanged(PlannedChange),
    EventsLost(Lost),
}

impl AuditRecord {
    /// The record as one line of JSON, without a line break. The first writer that needs it serialises it, not the call.
    pub(super) fn json(&self) -> &str {
        self.json.get_or_init(|| match &self.content {
            Content::Call(event) => self.serialise("call", &**event),
            Content::KeysChanged(change) => self.serialise("keys_changed", change),
            Content::EventsLost(lost) => self.serialise("events_lost", lost),
        })
    }

    fn serialise<T: Serialize>(&self, event: &'static str, content: T) -> String {
        let since_epoch = Duration::from_secs(u64::try_from(self.time.seconds()).unwrap_or_default());
        let prefix = Prefix {
            time: humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string(),
            instance: &self.instance,
            sequence: self.sequence,
            event,
        };
        // Texts and numbers always serialise.
        let mut json = serde_json::to_string(&prefix).unwrap_or_default();
        let content = serde_json::to_string(&content).unwrap_or_default();
        // Joins both objects without the copies of `#[serde(flatten)]`.
        if let Some(members) = content.strip_prefix('{').filter(|members| *members != "}") {
            json.pop();
            json.push(',');
            json.push_str(members);
        }
        json
    }
}

/// Creates records, each with the next sequence number and the time.
#[derive(Debug)]
pub(super) struct Sequencer {
    pub(super) instance: Arc<str>,
    pub(super) sequence: AtomicU64,
    pub(super) clock: Arc<dyn Clock>,
}

/// The members with which each record begins.
#[derive(Serialize)]
struct Prefix<'a> {
    time: String,
    instance: &'a str,
    sequence: u64,
    event: &'static str,
}

/// The number of records that a sink did not receive.
#[derive(Debug, Serialize)]
struct Lost {
    sink: &'static str,
    lost: u64,
}

impl Sequencer {
    /// The record of a call.
    pub(super) fn call(&self, event: Event) -> AuditRecord {
        self.record(Content::Call(Box::new(event)))
    }

    /// The record of a planned change of the keys.
    pub(super) fn planned(&self, change: PlannedChange) -> AuditRecord {
        self.record(Content::KeysChanged(change))
    }

    /// The record with the number of records that `sink` did not receive.
    pub(super) fn lost(&self, sink: &'static str, lost: u64) -> AuditRecord {
        self.record(Content::EventsLost(Lost { sink, lost }))
    }

    fn record(&self, content: Content) -> AuditRecord {
        let (time, sequence) = (self.clock.now(), self.sequence.fetch_add(1, Relaxed));
        AuditRecord { instance: Arc::clone(&self.instance), sequence, time, content, json: OnceLock::new() }
    }
}
