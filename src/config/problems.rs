//! What is wrong with the settings, and what an unknown name may mean.

use std::fmt;

/// All problems of the settings, so that an operator can fix them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// One problem, in one line.
    pub fn of(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    /// Adds a problem, in one line.
    pub fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Whether there is no problem.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// The candidate that is closest to `word`, if at most a third of it differs.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, candidate) = candidates
        .map(|candidate| (strsim::levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= candidate.chars().count()).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_distant_word_has_no_nearest_name() {
        let names = ["issuer", "store", "leeway"];
        assert_eq!(nearest("isuer", names.into_iter()), Some("issuer"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
