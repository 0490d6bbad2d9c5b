//! One line of the audit log, numbered and dated.

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

/// A line, on its way to every sink.
#[derive(Debug)]
pub(super) struct Line {
    /// Names the run of the process that wrote it.
    pub(super) instance: Arc<str>,
    /// Counts the lines of that run, from 1: where one is lost, its number is missing.
    pub(super) sequence: u64,
    /// When.
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

impl Line {
    /// All of it as JSON, without the line's end. It is made by the first writer that needs it, and not by the call.
    pub(super) fn json(&self) -> &str {
        self.json.get_or_init(|| match &self.content {
            Content::Call(event) => self.stamped("call", &**event),
            Content::KeysChanged(change) => self.stamped("keys_changed", change),
            Content::EventsLost(lost) => self.stamped("events_lost", lost),
        })
    }

    fn stamped<T: Serialize>(&self, event: &'static str, content: T) -> String {
        let since_epoch = Duration::from_secs(u64::try_from(self.time.seconds()).unwrap_or_default());
        let stamp = LineStamp {
            time: humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string(),
            instance: &self.instance,
            sequence: self.sequence,
            event,
        };
        // Texts and numbers into memory: nothing that could fail.
        let mut json = serde_json::to_string(&stamp).unwrap_or_default();
        let content = serde_json::to_string(&content).unwrap_or_default();
        // One object of both, without the copies that `#[serde(flatten)]` makes.
        if let Some(members) = content.strip_prefix('{').filter(|members| *members != "}") {
            json.pop();
            json.push(',');
            json.push_str(members);
        }
        json
    }
}

/// Numbers and dates lines.
#[derive(Debug)]
pub(super) struct Stamp {
    pub(super) instance: Arc<str>,
    pub(super) sequence: AtomicU64,
    pub(super) clock: Arc<dyn Clock>,
}

/// The members with which each line begins.
#[derive(Serialize)]
struct LineStamp<'a> {
    time: String,
    instance: &'a str,
    sequence: u64,
    event: &'static str,
}

/// How many lines a sink did not get.
#[derive(Debug, Serialize)]
struct Lost {
    sink: &'static str,
    lost: u64,
}

impl Stamp {
    /// The line of a call.
    pub(super) fn call(&self, event: Event) -> Line {
        self.line(Content::Call(Box::new(event)))
    }

    /// The line of a change that nobody asked for.
    pub(super) fn planned(&self, change: PlannedChange) -> Line {
        self.line(Content::KeysChanged(change))
    }

    /// The line that says how many others `sink` did not get.
    pub(super) fn lost(&self, sink: &'static str, lost: u64) -> Line {
        self.line(Content::EventsLost(Lost { sink, lost }))
    }

    fn line(&self, content: Content) -> Line {
        let (time, sequence) = (self.clock.now(), self.sequence.fetch_add(1, Relaxed));
        Line { instance: Arc::clone(&self.instance), sequence, time, content, json: OnceLock::new() }
    }
}
