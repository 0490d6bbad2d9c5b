//! The value of each setting from flags, variables and the file.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    Origin, Problems, Resolved,
    file::{self, FileValue},
    problems::nearest,
    resolved::{Resolution, Value},
    secret::Secret,
    setting::{Setting, check_ends, check_line, is_stray},
    table::settings,
};

/// Variables of the command line that are no settings.
const OTHER_VARIABLES: [&str; 7] = [
    Inputs::FILE_VARIABLE,
    "TOKEND_ADDR",
    "TOKEND_CLIENT_SECRET",
    "TOKEND_CLIENT_SECRET_FILE",
    "TOKEND_CA_FILE",
    "TOKEND_CERT_FILE",
    "TOKEND_KEY_FILE",
];

/// The sources of the settings. It has no `Debug`, because the environment holds secrets.
#[derive(Default)]
pub struct Inputs {
    /// The values of the given flags, by the names of the settings.
    pub flags: HashMap<&'static str, String>,
    /// The environment.
    pub variables: HashMap<OsString, OsString>,
    /// The configuration file.
    pub file: Option<PathBuf>,
}

impl Inputs {
    /// The variable that names the configuration file, if no flag does.
    pub const FILE_VARIABLE: &'static str = "TOKEND_CONFIG";

    /// The given flags and file, with the environment of the process.
    pub fn of_process(flags: HashMap<&'static str, String>, file: Option<PathBuf>) -> Self {
        let variables: HashMap<OsString, OsString> = std::env::vars_os().collect();
        let named = variables.get(OsStr::new(Self::FILE_VARIABLE)).filter(|path| !path.is_empty());
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
            let resolution = if setting.is_secret() {
                self.secret(setting, &from_file, &mut secret_files, &mut problems)
            } else {
                self.plain(setting, &setting.variable(), &from_file, &mut problems)
                    .or_else(|| setting.default.map(|text| (text.to_owned(), Origin::Default)))
                    .map(|(text, origin)| Resolution { value: Value::Plain(text), origin })
            };
            values.extend(resolution.map(|resolution| (setting.name, resolution)));
        }
        Resolved { values, secret_files, problems, is_file_unreadable, warnings: self.unknown_variables() }
    }

    fn plain(
        &self,
        setting: &Setting,
        variable: &str,
        from_file: &[FileValue],
        problems: &mut Problems,
    ) -> Option<(String, Origin)> {
        let (text, origin) = if let Some(text) = self.flags.get(setting.name) {
            (text.clone(), Origin::Flag(setting.flag()))
        } else if let Some(text) = self.variable(setting, variable, problems) {
            (text, Origin::Variable(variable.to_owned()))
        } else {
            // The values of the file are already checked.
            let found = from_file.iter().find(|value| value.setting.name == setting.name)?;
            return Some((found.text.clone(), found.origin.clone()));
        };
        if let Err(problem) = check_line(&text) {
            problems.add(format!("{}: {problem} ({origin})", setting.name));
        }
        // Without its ends, the value causes no further problems.
        Some((text.trim_matches(is_stray).to_owned(), origin))
    }

    fn secret(
        &self,
        setting: &Setting,
        from_file: &[FileValue],
        secret_files: &mut Vec<(String, PathBuf)>,
        problems: &mut Problems,
    ) -> Option<Resolution> {
        let text = self.variable(setting, &setting.variable(), problems);
        let file_variable = setting.file_variable().unwrap_or_default();
        let file = self.plain(setting, &file_variable, from_file, problems);
        let (value, origin) = match (text, file) {
            (None, None) => return None,
            (Some(text), None) => {
                let origin = Origin::Variable(setting.variable());
                // As after a secret in a file: a variable is often made from one.
                let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
                if let Err(problem) = check_ends(&text) {
                    problems.add(format!("{}: {problem} ({origin})", setting.name));
                }
                (Value::Secret(Secret::from_text(text.trim_matches(is_stray))), origin)
            }
            (None, Some((path, origin))) if matches!(Path::new(&path).try_exists(), Ok(false)) => {
                (Value::Absent(path.into()), origin)
            }
            (None, Some((path, origin))) => match Secret::from_file(Path::new(&path)) {
                Ok(secret) => {
                    secret_files.push((setting.key(), path.into()));
                    (Value::Secret(secret), origin)
                }
                Err(problem) => {
                    problems.add(format!("{}: {problem} ({origin})", setting.name));
                    (Value::Unreadable, origin)
                }
            },
            (Some(_), Some((_, origin))) => {
                problems.add(format!(
                    "{}: given twice, by variable {} and by {origin}: remove one",
                    setting.name,
                    setting.variable()
                ));
                (Value::Unreadable, origin)
            }
        };
        Some(Resolution { value, origin })
    }

    /// The text of a variable. An empty variable counts as not set, because many tools unset a variable that way.
    fn variable(&self, setting: &Setting, name: &str, problems: &mut Problems) -> Option<String> {
        let text = self.variables.get(OsStr::new(name)).filter(|text| !text.is_empty())?;
        let text = text.to_str().map(str::to_owned);
        if text.is_none() {
            problems.add(format!("{}: is not UTF-8 (variable {name})", setting.name));
        }
        text
    }

    /// A warning for each variable that begins with `TOKEND_` and is no setting, sorted by name.
    fn unknown_variables(&self) -> Vec<String> {
        let known: Vec<String> = settings()
            .flat_map(|setting| [Some(setting.variable()), setting.file_variable()])
            .flatten()
            .chain(OTHER_VARIABLES.map(str::to_owned))
            .collect();
        let variables = self.variables.iter();
        let named =
            variables.filter_map(|(name, value)| Some((name.to_str()?, value.to_str().unwrap_or_default())));
        let mut unknown: Vec<&str> = named
            .filter(|(name, value)| {
                // Names are case-sensitive: `tokend_issuer` is no setting either.
                name.to_ascii_uppercase().starts_with("TOKEND_")
                    && !known.iter().any(|known| known == name)
                    && !is_of_kubernetes(name, value)
            })
            .map(|(name, _)| name)
            .collect();
        unknown.sort_unstable();
        let warning = |name: &str| match nearest(&name.to_ascii_uppercase(), known.iter().map(String::as_str))
        {
            Some(near) => format!("the variable {name} sets nothing; did you mean {near}?"),
            None => format!("the variable {name} sets nothing: there is no such setting"),
        };
        unknown.into_iter().map(warning).collect()
    }
}

/// Whether Kubernetes sets the variable for a Service: `TOKEND_SERVICE_HOST`, `TOKEND_PORT=tcp://…` and
/// `TOKEND_PORT_50051_TCP_ADDR` for a Service named tokend, `TOKEND_GRPC_SERVICE_HOST` for one named tokend-grpc.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_protocol = |rest: &str| {
        let rest = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"].into_iter().any(|protocol| rest.starts_with(protocol))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split("_PORT_").skip(1).any(is_protocol)
        || (name.ends_with("_PORT")
            && ["tcp://", "udp://", "sctp://"].into_iter().any(|scheme| value.starts_with(scheme)))
}
