//! The rules of `CONTRIBUTING.md` that a machine can check, checked over the whole repository.
//!
//! Each rule is a function from a [`source::Source`] (or a manifest) to what breaks it, and stands
//! beside tests on small examples that do break it, so no rule can pass by seeing nothing.
//! Tokens and syntax trees are looked at, never text: a string or a comment breaks no rule.

mod allowed;
mod length;
mod manifest;
mod naming;
mod reasons;
mod source;

use source::{Breach, Source};

/// The rules that look at one file, in the order in which they are reported.
const RULES: [fn(&Source) -> Vec<Breach>; 8] = [
    length::functions_fit_on_a_screen,
    naming::file_names_say_something,
    naming::crates_are_named_where_they_belong,
    naming::unsafe_is_where_the_design_puts_it,
    naming::pure_code_touches_nothing_outside,
    reasons::what_can_panic_says_why_it_cannot,
    reasons::silenced_lints_say_why,
    reasons::library_roots_keep_unsafe_out,
];

#[test]
fn the_repository_keeps_its_rules() {
    let root = source::root();
    let sources = source::repository(&root);
    // An empty list would keep every rule.
    assert!(sources.len() > 30, "only {} files under {}", sources.len(), root.display());

    let mut breaches: Vec<Breach> =
        sources.iter().flat_map(|source| RULES.iter().flat_map(move |rule| rule(source))).collect();
    breaches.extend(length::files_are_short(&sources, allowed::LONG_FILES));
    breaches.extend(allowed::unsafe_files_are_there(&sources));
    breaches.extend(manifest::dependencies_point_one_way(&root));

    let report: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{} breaches:\n{}\n", breaches.len(), report.join("\n"));
}
