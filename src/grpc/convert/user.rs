//! Messages of UserService.

use prost_types::FieldMask;

use super::{Checked, issue::extra_claims, json, scalar};
use crate::{
    access::{NewPassword, UserKey},
    jose::JsonObject,
    model::{ExtraClaims, FOREIGN_SUBJECT, Password, User, UserId, UserSettings, Username, Violations},
    proto::v1,
};

/// The longest claims of a user, as JSON in bytes: they must fit into a token.
const MAX_CLAIMS: usize = 4096;

/// Fields that the server sets, and the id. A mask may name them, without effect (AIP-203).
const OUTPUT_ONLY: [&str; 5] = ["user_id", "etag", "create_time", "update_time", "password_update_time"];

/// Reads the optional id of a new user.
pub(in crate::grpc) fn optional_user_id(text: &str, violations: &mut Violations) -> Option<UserId> {
    if text.starts_with(FOREIGN_SUBJECT) {
        let description =
            format!("must not begin with `{FOREIGN_SUBJECT}`, which marks the subjects of other issuers");
        violations.add("user.user_id", description);
        return None;
    }
    if text.is_empty() { None } else { violations.check("user.user_id", UserId::parse(text)) }
}

/// Reads a user's id.
pub(in crate::grpc) fn user_id(text: &str, field: &str, violations: &mut Violations) -> Option<UserId> {
    violations.check(field, UserId::parse(text))
}

/// Reads the id or the name of a user.
pub(in crate::grpc) fn user_key(user_id: &str, username: &str) -> Checked<UserKey> {
    let mut violations = Violations::default();
    let value = match (user_id, username) {
        (user_id, "") => violations.check("user_id", UserId::parse(user_id)).map(UserKey::Id),
        ("", username) => violations.check("username", Username::parse(username)).map(UserKey::Name),
        _ => {
            violations.add("username", "must not be given together with `user_id`");
            None
        }
    };
    Checked { value: value.unwrap_or_else(|| UserKey::Name(Username::default())), violations }
}

/// Reads the settings of a user.
pub(in crate::grpc) fn user_settings(message: v1::User) -> Checked<UserSettings> {
    let mut violations = Violations::default();
    let username = violations.check("username", Username::parse(&message.username));
    scalar::check_scopes(&message.scopes, "scopes", &mut violations);
    let value = UserSettings {
        username: username.unwrap_or_default(),
        disabled: message.disabled,
        claims: claims(message.claims, &message.claims_json, &mut violations),
        scopes: message.scopes,
    };
    Checked { value, violations: violations.prefixed("user.") }
}

/// The changes of an UpdateUserRequest; fields without a value stay.
#[derive(Default)]
pub(in crate::grpc) struct UserChange {
    username: Option<Username>,
    disabled: Option<bool>,
    claims: Option<ExtraClaims>,
    scopes: Option<Vec<String>>,
}

impl UserChange {
    /// Applies the changes.
    pub(in crate::grpc) fn apply(&self, settings: &mut UserSettings) {
        if let Some(username) = &self.username {
            settings.username = username.clone();
        }
        if let Some(disabled) = self.disabled {
            settings.disabled = disabled;
        }
        if let Some(claims) = &self.claims {
            settings.claims = claims.clone();
        }
        if let Some(scopes) = &self.scopes {
            settings.scopes.clone_from(scopes);
        }
    }
}

/// Reads the changes of an UpdateUserRequest (AIP-134): the fields that the mask names, all for `*`, and without a mask those that are not
/// empty.
pub(in crate::grpc) fn user_change(message: v1::User, mask: Option<FieldMask>) -> Checked<UserChange> {
    let mut violations = Violations::default();
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    let mut change = UserChange::default();
    let known = |path: &str| {
        matches!(path, "*" | "username" | "disabled" | "claims" | "claims_json" | "scopes")
            || OUTPUT_ONLY.contains(&path)
    };
    for (index, _) in paths.iter().enumerate().filter(|(_, path)| !known(path)) {
        let description = "must be one of username, disabled, claims, claims_json, scopes and `*`";
        violations.add(format!("update_mask.paths[{index}]"), description);
    }
    let named = |path: &str, is_given: bool| {
        if paths.is_empty() { is_given } else { paths.iter().any(|named| named == path || named == "*") }
    };
    let mut of_user = Violations::default();
    if named("username", !message.username.is_empty()) {
        change.username = of_user.check("username", Username::parse(&message.username));
    }
    if named("disabled", message.disabled) {
        change.disabled = Some(message.disabled);
    }
    if named("claims", message.claims.is_some()) || named("claims_json", !message.claims_json.is_empty()) {
        change.claims = Some(claims(message.claims, &message.claims_json, &mut of_user));
    }
    if named("scopes", !message.scopes.is_empty()) {
        scalar::check_scopes(&message.scopes, "scopes", &mut of_user);
        change.scopes = Some(message.scopes);
    }
    violations.append(of_user.prefixed("user."));
    Checked { value: change, violations }
}

/// Reads a password or a password hash: one of the two is required.
pub(in crate::grpc) fn new_password(
    password: String,
    password_hash: String,
    violations: &mut Violations,
) -> NewPassword {
    let plain = match (password.is_empty(), password_hash.is_empty()) {
        (false, true) => Password::typed(password),
        (true, false) => return NewPassword::Hash(password_hash),
        (true, true) => {
            violations.add("password", "must be given, or `password_hash`");
            return NewPassword::Plain(Password::default());
        }
        (false, false) => {
            violations.add("password_hash", "must not be given together with `password`");
            return NewPassword::Plain(Password::default());
        }
    };
    if plain.is_none() {
        violations.add("password", "must be at most 1,024 bytes");
    }
    NewPassword::Plain(plain.unwrap_or_default())
}

/// Reads an optional etag. A malformed one becomes a revision that no user has.
pub(in crate::grpc) fn revision(etag: &str) -> Option<i64> {
    let number = |etag: &str| etag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    (!etag.is_empty()).then(|| number(etag).unwrap_or_default())
}

/// Converts a user.
pub(in crate::grpc) fn user_message(user: User) -> v1::User {
    let claims_json = user.settings.claims.to_json();
    v1::User {
        user_id: user.user_id.as_str().to_owned(),
        username: user.settings.username.as_str().to_owned(),
        disabled: user.settings.disabled,
        claims: Some(json::to_struct(&JsonObject::parse(&claims_json).unwrap_or_default())),
        claims_json,
        scopes: user.settings.scopes,
        etag: format!("\"{}\"", user.revision),
        create_time: Some(scalar::timestamp(user.create_time)),
        update_time: Some(scalar::timestamp(user.update_time)),
        password_update_time: Some(scalar::timestamp(user.password_update_time)),
    }
}

fn claims(
    claims: Option<prost_types::Struct>,
    claims_json: &str,
    violations: &mut Violations,
) -> ExtraClaims {
    let claims = extra_claims(claims, claims_json, violations);
    if claims.to_json().len() > MAX_CLAIMS {
        violations.add("claims", format!("must be at most {MAX_CLAIMS} bytes of JSON"));
    }
    claims
}
