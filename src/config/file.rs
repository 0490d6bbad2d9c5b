//! The configuration file: flat TOML, in which an unknown key is an error.

use std::{fs, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    Origin, Problems,
    problems::nearest,
    setting::{Kind, Setting, check_line, is_stray},
    table::settings,
};

/// A value of the file, as text in the form of flags and variables.
pub(super) struct FileValue {
    pub(super) setting: &'static Setting,
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Reads the file, and adds its problems to `problems`. None if it cannot be read at all: then its settings are not missing.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Vec<FileValue>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.add(format!("the configuration file {} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let table = match DeTable::parse(&text) {
        Ok(table) => table,
        Err(error) => {
            // Only the message: the whole error quotes the line, which may hold a secret.
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            problems.add(format!("{}, line {line}: {}", path.display(), error.message().replace('\n', ", ")));
            return None;
        }
    };
    let mut values = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(&text, key.span().start);
        let key = key.get_ref().as_ref();
        let Some(setting) = settings().find(|setting| setting.key() == key) else {
            problems.add(format!("{}, line {line}: {}", path.display(), unknown(key)));
            continue;
        };
        let origin = Origin::Key { key: key.to_owned(), file: path.to_owned(), line };
        match text_of(setting, value.get_ref()) {
            Ok(text) => {
                if let Err(problem) = check_line(&text) {
                    problems.add(format!("{}: {problem} ({origin})", setting.name));
                }
                let text = text.trim_matches(is_stray).to_owned();
                let text = relative_to(folder(path), setting, text);
                values.push(FileValue { setting, text, origin });
            }
            Err(problem) => problems.add(format!("{}: {problem} ({origin})", setting.name)),
        }
    }
    Some(values)
}

/// The folder of relative paths in the file. A pipe has none, such as a shell's `<(…)`.
fn folder(path: &Path) -> Option<&Path> {
    path.is_file().then(|| path.parent()).flatten().filter(|folder| !folder.as_os_str().is_empty())
}

/// The value, with a relative path joined to `folder`.
fn relative_to(folder: Option<&Path>, setting: &Setting, text: String) -> String {
    let Some(folder) = folder else { return text };
    let joined = |path: &str| folder.join(path).to_str().map(str::to_owned);
    // An empty path is rejected where it is used.
    let joined = match (setting.kind, text.strip_prefix("sqlite:")) {
        (Kind::Path | Kind::Secret, _) if !text.is_empty() => joined(&text),
        (_, Some(path)) if setting.name == "store" => {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_path = !path.is_empty() && !path.starts_with(':');
            is_path.then(|| joined(path).map(|path| format!("sqlite:{path}"))).flatten()
        }
        _ => None,
    };
    joined.unwrap_or(text)
}

fn unknown(key: &str) -> String {
    if let Some(setting) = settings().find(|setting| setting.is_secret() && setting.name == key) {
        return format!(
            "the file cannot hold the secret `{key}`: name a file that holds it as `{}`",
            setting.key()
        );
    }
    let names: Vec<String> = settings().map(Setting::key).collect();
    match nearest(key, names.iter().map(String::as_str)) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`"),
    }
}

/// The value as text, or the expected form.
fn text_of(setting: &Setting, value: &DeValue<'_>) -> Result<String, &'static str> {
    match (setting.kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(value.to_string()),
        (Kind::Bool, _) => Err("must be true or false, without quotes"),
        (Kind::Number(..), DeValue::Integer(value)) => i64::from_str_radix(value.as_str(), value.radix())
            .map(|value| value.to_string())
            .map_err(|_| "is too large a number"),
        (Kind::Number(..), _) => Err("must be a whole number, without quotes"),
        (Kind::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().ok_or("must be a list of quoted texts"))
            .collect::<Result<Vec<_>, _>>()
            .map(|items| items.join(",")),
        (_, DeValue::String(text)) => Ok(text.clone().into_owned()),
        (Kind::List, _) => Err("must be a list of quoted texts"),
        (Kind::Duration(..) | Kind::Seconds(..), _) => Err("must be a duration in quotes, such as \"30s\""),
        _ => Err("must be a text in quotes"),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
