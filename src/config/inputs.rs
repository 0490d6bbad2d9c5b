//! From flags, variables and file to one value for each setting.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Origin, Problems, Resolved,
    file::{self, FromFile},
    resolved::Value,
    secret::Secret,
    table::{Setting, settings},
    variables,
};

/// All that can give a setting its value. It has no `Debug`: the environment holds secrets.
#[derive(Default)]
pub struct Inputs {
    /// The texts of the flags that were given, by the settings' names.
    pub flags: HashMap<&'static str, String>,
    /// The environment.
    pub variables: HashMap<OsString, OsString>,
    /// The configuration file.
    pub file: Option<PathBuf>,
}

impl Inputs {
    /// The variable that names the configuration file when no flag does.
    pub const FILE_VARIABLE: &'static str = "TOKEND_CONFIG";

    /// These flags and this file, with the environment of the process.
    pub fn of_process(flags: HashMap<&'static str, String>, file: Option<PathBuf>) -> Self {
        let variables: HashMap<OsString, OsString> = std::env::vars_os().collect();
        let named =
            variables.get(Self::FILE_VARIABLE.as_ref() as &std::ffi::OsStr).filter(|path| !path.is_empty());
        let file = file.or_else(|| named.map(PathBuf::from));
        Self { flags, variables, file }
    }

    /// The value of each setting: the flag's, else the variable's, else the file's, else the default.
    pub fn resolve(&self) -> Resolved {
        let mut problems = Problems::default();
        let read = self.file.as_deref().map(|path| file::read(path, &mut problems));
        let is_file_unreadable = matches!(read, Some(None));
        let from_file = read.flatten().unwrap_or_default();
        let mut values = BTreeMap::new();
        let mut secret_files = Vec::new();
        for setting in settings() {
            let value = if setting.is_secret() {
                self.secret(setting, &from_file, &mut secret_files, &mut problems)
            } else {
                self.plain(setting, &setting.variable(), &from_file, &mut problems)
                    .or_else(|| setting.default.map(|text| (text.to_owned(), Origin::Default)))
                    .map(|(text, origin)| Value::Plain(text, origin))
            };
            if let Some(value) = value {
                values.insert(setting.name, value);
            }
        }
        let warnings = variables::unknown(&self.variables);
        Resolved { values, secret_files, problems, is_file_unreadable, warnings }
    }

    fn plain(
        &self,
        setting: &Setting,
        variable: &str,
        from_file: &[FromFile],
        problems: &mut Problems,
    ) -> Option<(String, Origin)> {
        if let Some(text) = self.flags.get(setting.name) {
            return Some((text.clone(), Origin::Flag(setting.flag())));
        }
        if let Some(text) = self.variable(setting, variable, problems) {
            return Some((text, Origin::Variable(variable.to_owned())));
        }
        let found = from_file.iter().find(|value| value.setting.name == setting.name)?;
        Some((found.text.clone(), found.origin.clone()))
    }

    fn secret(
        &self,
        setting: &Setting,
        from_file: &[FromFile],
        secret_files: &mut Vec<(String, PathBuf)>,
        problems: &mut Problems,
    ) -> Option<Value> {
        let in_place = self.variable(setting, &setting.variable(), problems);
        let file_variable = setting.file_variable().unwrap_or_default();
        let named = self.plain(setting, &file_variable, from_file, problems);
        match (in_place, named) {
            (None, None) => None,
            (Some(text), None) => {
                Some(Value::Secret(Secret::from_text(text), Origin::Variable(setting.variable())))
            }
            (None, Some((path, origin))) if matches!(Path::new(&path).try_exists(), Ok(false)) => {
                Some(Value::Absent(path.into(), origin))
            }
            (None, Some((path, origin))) => match Secret::from_file(Path::new(&path)) {
                Ok(secret) => {
                    secret_files.push((setting.key(), path.into()));
                    Some(Value::Secret(secret, origin))
                }
                Err(problem) => {
                    problems.add(format!("{}: {problem} ({origin})", setting.name));
                    Some(Value::Unreadable(origin))
                }
            },
            (Some(_), Some((_, origin))) => {
                problems.add(format!(
                    "{}: given twice, by variable {} and by {origin}: leave one out",
                    setting.name,
                    setting.variable()
                ));
                Some(Value::Unreadable(origin))
            }
        }
    }

    /// A variable's text. An empty one counts as not set, for that is how many tools unset one.
    fn variable(&self, setting: &Setting, name: &str, problems: &mut Problems) -> Option<String> {
        let text = self.variables.get(std::ffi::OsStr::new(name)).filter(|text| !text.is_empty())?;
        let text = text.to_str().map(str::to_owned);
        if text.is_none() {
            problems.add(format!("{}: is not UTF-8 (variable {name})", setting.name));
        }
        text
    }
}
