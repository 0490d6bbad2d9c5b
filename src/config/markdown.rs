//! The tables of settings in Markdown.

use super::table::GROUPS;

/// A heading and a table for each group of settings, as docs/configuration.md holds them.
pub fn markdown_table() -> String {
    let mut text = String::new();
    for (title, settings) in GROUPS {
        text.push_str(&format!(
            "### {title}\n\n| Key | Flag | Variable | Default | What it does |\n|---|---|---|---|---|\n"
        ));
        for setting in settings {
            let variable = match setting.file_variable() {
                Some(file_variable) => format!("`{}`, `{file_variable}`", setting.variable()),
                None => format!("`{}`", setting.variable()),
            };
            let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let help = setting.help.replace('|', "\\|");
            text.push_str(&format!(
                "| `{}` | `--{}` | {variable} | {default} | {help} |\n",
                setting.key(),
                setting.flag()
            ));
        }
        text.push('\n');
    }
    text
}
