//! The input of a stored row's MAC.

/// The security-relevant fields of a row in an unambiguous form: each name and value follows its length.
///
/// A field without a value is omitted. A column that a later release adds does not invalidate the MACs of rows without a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowContent(Vec<u8>);

impl RowContent {
    /// The content of a row of `table`: a MAC is valid for one table only.
    pub(super) fn of(table: &str) -> Self {
        Self(Vec::new()).with("table", Some(table.as_bytes()))
    }

    /// Adds a field.
    pub(super) fn with(mut self, name: &str, value: Option<&[u8]>) -> Self {
        if let Some(value) = value {
            for part in [name.as_bytes(), value] {
                self.0.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                self.0.extend_from_slice(part);
            }
        }
        self
    }

    /// Adds a text.
    pub(super) fn text(self, name: &str, value: Option<&str>) -> Self {
        self.with(name, value.map(str::as_bytes))
    }

    /// Adds a time.
    pub(super) fn time(self, name: &str, value: Option<super::UnixTime>) -> Self {
        self.with(name, value.map(|time| time.seconds().to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
