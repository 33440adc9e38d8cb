//! The one table of settings. Flags, environment variables, keys of the file, help, reference and
//! defaults are all derived from it, so they cannot disagree.

mod collected;
mod general;
mod http;
mod listening;
mod outputs;
mod sharing;
mod webhooks;

use super::setting::{COUNT, Id, Setting};

/// Every setting, in the order in which help shows them.
pub const SETTINGS: &[Setting] = &joined(&[
    listening::SETTINGS,
    collected::SETTINGS,
    outputs::SETTINGS,
    webhooks::SETTINGS,
    sharing::SETTINGS,
    http::SETTINGS,
    general::SETTINGS,
]);

/// The parts one behind the other. One too many or too few does not compile.
const fn joined(parts: &[&[Setting]]) -> [Setting; COUNT] {
    let mut all = [parts[0][0]; COUNT];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            all[at] = parts[part][i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == COUNT);
    all
}

// `Id as usize` is the index, so the table must be complete and in the order of `Id`.
const _: () = {
    let mut i = 0;
    while i < COUNT {
        assert!(SETTINGS[i].id as usize == i);
        i += 1;
    }
};

impl Id {
    /// The setting with this id.
    #[must_use]
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::setting::Kind;
    use super::*;

    #[test]
    fn no_two_settings_share_a_name() {
        let mut names = HashSet::new();
        for setting in SETTINGS {
            let own = [Some(format!("--{}", setting.long)), setting.short.map(|c| format!("-{c}"))]
                .into_iter()
                .flatten()
                .chain(setting.key.map(str::to_owned))
                .chain(setting.environment.iter().map(|&name| name.to_owned()));
            for name in own {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn every_setting_has_a_variable_and_a_help_text() {
        for setting in SETTINGS {
            let own = setting.environment;
            assert!(own.iter().all(|name| name.starts_with("SENTRYPEER_")), "{}", setting.long);
            assert!(!own.is_empty(), "{}", setting.long);
            assert!(!setting.help.is_empty() && !setting.help.ends_with('.'), "{}", setting.long);
            assert_eq!(setting.value_name.is_empty(), setting.kind == Kind::Switch);
        }
    }
}
