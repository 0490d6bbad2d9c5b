//! A table of a TOML file, read key by key. What is wrong is noted with its place, and reading goes on: a file is to be
//! mended in one go.

use std::time::Duration;

use toml::{Table, Value};

use crate::config::{Problems, nearest};

/// A table that is being read: each key is taken out, and what is left over in the end is unknown.
pub(super) struct Section {
    /// Of which client, and where in it.
    place: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    /// The table at `place`; that stands before each problem.
    pub(super) const fn new(place: String, table: Table) -> Self {
        Self { place, table, known: Vec::new() }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        problems: &mut Problems,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        let read = read(value);
        if read.is_none() {
            problems.add(format!("{}{key}: must be {wanted}", self.place));
        }
        read
    }

    /// A text; empty when it is not there.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> String {
        self.take(key, "a text in quotes", problems, text).unwrap_or_default()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        let texts = |value| list(value)?.into_iter().map(text).collect();
        self.take(key, "a list of texts in quotes", problems, texts).unwrap_or_default()
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> bool {
        self.take(key, "true or false, without quotes", problems, |value| value.as_bool()).unwrap_or_default()
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, problems: &mut Problems) -> i32 {
        let number = |value: Value| i32::try_from(value.as_integer()?).ok();
        self.take(key, "a whole number, without quotes", problems, number).unwrap_or_default()
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<Duration> {
        let duration = |value: Value| humantime::parse_duration(value.as_str()?).ok();
        self.take(key, "a duration in quotes, such as \"10m\"", problems, duration)
    }

    /// A table; empty when it is not there.
    pub(super) fn section(&mut self, key: &'static str, problems: &mut Problems) -> Self {
        let table = self.take(key, "a table", problems, table).unwrap_or_default();
        Self::new(format!("{}{key}.", self.place), table)
    }

    /// A list of tables.
    pub(super) fn sections(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Self> {
        let tables = |value| list(value)?.into_iter().map(table).collect::<Option<Vec<_>>>();
        let tables = self.take(key, "a list of tables", problems, tables).unwrap_or_default();
        let numbered = tables.into_iter().enumerate();
        numbered.map(|(index, table)| Self::new(format!("{}{key}[{index}].", self.place), table)).collect()
    }

    /// Notes the keys that nobody asked for.
    pub(super) fn end(self, problems: &mut Problems) {
        for key in self.table.keys() {
            let near = nearest(key, self.known.iter().copied());
            let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            problems.add(format!("{}{key}: unknown key{meant}", self.place));
        }
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn list(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(list) = value { Some(list) } else { None }
}

fn table(value: Value) -> Option<Table> {
    if let Value::Table(table) = value { Some(table) } else { None }
}
