//! Field violations of a request.

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path in the request: `audiences[1]`, `client.default_ttl`.
    pub field: String,
    /// What the field must be. Quotes nothing of the request.
    pub description: String,
}

/// All violations of a request, so that the caller can correct them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// How many are kept: a hostile request must not make a large answer.
    const MOST: usize = 16;

    /// One violation.
    pub fn of(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Self::default();
        violations.add(field, description);
        violations
    }

    /// Adds a violation.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(FieldViolation { field: field.into(), description: description.into() });
        }
    }

    /// Returns the value of `result`, or adds its error for `field`.
    pub fn check<T, E: std::fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// Adds the violations of `others`.
    pub fn append(&mut self, others: Self) {
        others.0.into_iter().for_each(|violation| self.add(violation.field, violation.description));
    }

    /// Puts `prefix` before each field's path.
    pub fn prefixed(mut self, prefix: &str) -> Self {
        for violation in &mut self.0 {
            violation.field.insert_str(0, prefix);
        }
        self
    }

    /// `Ok` without violations, else the violations.
    ///
    /// # Errors
    /// When there is any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The violations, in the order found.
    pub fn as_slice(&self) -> &[FieldViolation] {
        &self.0
    }
}
