//! The reference of settings for `docs/configuration.md`.

use super::setting::{Group, Setting};
use super::table::SETTINGS;

/// Markdown: for every group a heading and a table. A test compares it with the page.
#[must_use]
pub fn reference() -> String {
    Group::ALL.map(section).join("\n")
}

fn section(group: Group) -> String {
    let rows: String = SETTINGS.iter().filter(|s| s.group == group).map(row).collect();
    format!(
        "### {}\n\n| key in the file | flag | environment | default | meaning |\n\
         |---|---|---|---|---|\n{rows}",
        group.heading()
    )
}

fn row(setting: &Setting) -> String {
    let code = |text: &str| format!("`{}`", cell(text));
    let key = setting.key.map_or_else(|| String::from("none"), code);
    let short = setting.short.map_or_else(String::new, |short| format!("`-{short}`, "));
    let value = match setting.value_name {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let flag = format!("{short}{}", code(&format!("--{}{value}", setting.long)));
    let variables: Vec<String> = setting.environment.iter().map(|name| code(name)).collect();
    let (variables, default) = (variables.join(", "), cell(setting.default_text()));
    format!("| {key} | {flag} | {variables} | {default} | {} |\n", cell(setting.help))
}

/// A text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_on_configuration_holds_the_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        let page = fs::read_to_string(&path).unwrap();
        let expected = reference();
        assert!(
            page.ends_with(&format!("\n{expected}")),
            "{} does not end with what the table of settings says; put this there:\n{expected}",
            path.display()
        );
    }

    #[test]
    fn the_page_on_configuration_names_every_command() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        let page = fs::read_to_string(&path).unwrap();
        for command in crate::config::subcommands::all() {
            let row = format!("\n| `sentrypeer {}` | ", command.get_name());
            assert!(page.contains(&row), "{}: {row}", path.display());
        }
    }

    #[test]
    fn every_setting_has_a_row_of_five_cells() {
        let reference = reference();
        let rows: Vec<&str> = reference.lines().filter(|line| line.contains("--")).collect();
        for setting in SETTINGS {
            assert!(rows.iter().any(|row| row.contains(&format!("--{}", setting.long))));
        }
        for row in reference.lines().filter(|line| line.starts_with('|')) {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        }
    }
}
