//! What somebody may have meant.

/// The candidate that `word` is closest to, if it is close at all: at most a third of it would have to change.
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
    fn knows_when_nothing_is_near() {
        let names = ["issuer", "store", "leeway"];
        assert_eq!(nearest("isuer", names.into_iter()), Some("issuer"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
