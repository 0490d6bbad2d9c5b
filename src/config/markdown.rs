//! The table of settings for people.

use super::table::settings;

/// The table of settings in Markdown, as README.md holds it.
pub fn markdown_table() -> String {
    let mut table =
        String::from("| Key | Flag | Variable | Default | What it does |\n|---|---|---|---|---|\n");
    for setting in settings() {
        let variable = match setting.file_variable() {
            Some(file_variable) => format!("`{}`, `{file_variable}`", setting.variable()),
            None => format!("`{}`", setting.variable()),
        };
        let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let help = setting.help.replace('|', "\\|");
        table.push_str(&format!(
            "| `{}` | `--{}` | {variable} | {default} | {help} |\n",
            setting.key(),
            setting.flag()
        ));
    }
    table
}
