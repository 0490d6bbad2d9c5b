//! Subjects that could be taken for others, which a release before may have let in: they keep working, and operators are told.

use crate::model::FOREIGN_SUBJECT;

/// The ids of users that a client has too, and of those that begin like the subjects of other issuers. Some of them: a start is
/// not held up by many.
pub(super) const AMBIGUOUS_USERS: &str = "SELECT user_id FROM users \
    WHERE EXISTS (SELECT 1 FROM clients WHERE client_id = user_id) OR user_id LIKE 'foreign:%' \
    ORDER BY user_id LIMIT 20";

/// Warns of these users.
pub(super) fn warn(user_ids: &[String]) {
    for user_id in user_ids {
        if user_id.starts_with(FOREIGN_SUBJECT) {
            tracing::warn!(
                user_id,
                "the user's id begins with `foreign:`, as subjects of other issuers do; create the user with another id"
            );
        } else {
            tracing::warn!(
                user_id,
                "a user and a client have the same id, so that their tokens have the same subject (RFC 9700 section 4.15); \
                 create one of them with another id"
            );
        }
    }
}
