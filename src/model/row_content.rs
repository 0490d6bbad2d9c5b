//! What of a stored row decides trust, as the bytes that its MAC is computed over.

/// The fields of a row that decide trust, in an unambiguous form: the length of each name and value stands before it.
///
/// A field without a value is left out. So a column that a later release adds changes nothing for rows that have no value in it,
/// and their MACs stay valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowContent(Vec<u8>);

impl RowContent {
    /// The content of a row of `table`: a MAC for one table is none for another.
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

    /// Adds an instant.
    pub(super) fn time(self, name: &str, value: Option<super::UnixTime>) -> Self {
        self.with(name, value.map(|time| time.seconds().to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
