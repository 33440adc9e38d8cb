//! What looks wrong says why it is right.

use syn::visit::Visit;

use crate::source::{Breach, Source, Token};

const LINT_ROOTS: [&str; 7] = [
    "dht/src/lib.rs",
    "engine/sip/src/lib.rs",
    "engine/src/lib.rs",
    "http/src/lib.rs",
    "storage/pack/src/lib.rs",
    "storage/src/lib.rs",
    "benches/src/lib.rs",
];

pub fn what_can_panic_says_why_it_cannot(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (i, token) in source.tokens.iter().enumerate() {
        let Some(what) = panics(&source.tokens, i) else { continue };
        if !source.is_test(token.line) && !source.is_explained(token.line) {
            let what = format!("{what} without a `//` reason on the line above");
            breaches.push(source.breach(token.line, what));
        }
    }
    breaches
}

/// `.unwrap(`, `Option::unwrap`, `.expect(`, `todo!` and `unimplemented!`.
fn panics(tokens: &[Token], i: usize) -> Option<&'static str> {
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |t| t.text.as_str());
    let (before, after) = (text(i.checked_sub(1)), text(Some(i + 1)));
    match tokens[i].text.as_str() {
        "unwrap" if before == ":" || (before == "." && after == "(") => Some("unwrap"),
        "expect" if before == ":" || (before == "." && after == "(") => Some("expect"),
        "todo" if after == "!" => Some("todo!"),
        "unimplemented" if after == "!" => Some("unimplemented!"),
        _ => None,
    }
}

pub fn silenced_lints_say_why(source: &Source) -> Vec<Breach> {
    let mut silent = Silenced::default();
    silent.visit_file(&source.file);
    let what = "a lint is silenced without `reason = \"…\"`";
    silent.lines.into_iter().map(|line| source.breach(line, what)).collect()
}

/// The lines of `allow` and `expect` attributes without a reason.
#[derive(Default)]
struct Silenced {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Silenced {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let Ok(list) = attribute.meta.require_list() else { return };
        let tokens = list.tokens.to_string();
        let names = |lint: &str| list.path.is_ident(lint);
        let inside_cfg = names("cfg_attr")
            && list.tokens.clone().into_iter().any(|tree| {
                matches!(tree, proc_macro2::TokenTree::Ident(i) if i == "allow" || i == "expect")
            });
        if (names("allow") || names("expect") || inside_cfg) && !has_reason(&tokens) {
            self.lines.push(attribute.pound_token.span.start().line);
        }
    }
}

/// Whether `reason = "…"` is among the tokens and says something.
fn has_reason(tokens: &str) -> bool {
    let said = tokens.split("reason").nth(1).map(str::trim_start);
    let said = said.and_then(|rest| rest.strip_prefix('=')).map(str::trim_start);
    said.and_then(|rest| rest.strip_prefix('"')).is_some_and(|rest| !rest.starts_with('"'))
}

pub fn library_roots_keep_unsafe_out(source: &Source) -> Vec<Breach> {
    if !LINT_ROOTS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let keeps_out = source.file.attrs.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        list.is_ok_and(|list| {
            let level = list.path.is_ident("forbid") || list.path.is_ident("deny");
            level && list.tokens.to_string().contains("unsafe_code")
        })
    });
    let breach = || source.breach(1, "neither #![forbid(unsafe_code)] nor #![deny(unsafe_code)]");
    if keeps_out { Vec::new() } else { vec![breach()] }
}

#[test]
fn a_panic_without_a_reason_above_it_is_a_breach() {
    let breaches = |text: &str| {
        what_can_panic_says_why_it_cannot(&Source::parse("storage/src/a.rs", text)).len()
    };
    for line in [
        "let a = b.unwrap();",
        "let a = b.expect(\"is there\");",
        "let a = b.map(Option::unwrap);",
        "todo!();",
        "unimplemented!(\"later\");",
        "let a = vec![b.unwrap()];",
        "let a = c(\n1,\nb.unwrap(),\n);",
    ] {
        assert_eq!(breaches(&format!("fn f() {{\n{line}\n}}")), 1, "{line}");
        assert_eq!(breaches(&format!("fn f() {{\n/// Cannot fail: checked.\n{line}\n}}")), 1);
        assert_eq!(breaches(&format!("fn f() {{\n// Cannot fail: checked.\n\n{line}\n}}")), 1);
        assert_eq!(breaches(&format!("fn f() {{\n//\n{line}\n}}")), 1);
        assert_eq!(
            breaches(&format!("fn f() {{\n// Cannot fail: checked.\n{line}\n}}")),
            0,
            "{line}"
        );
        assert_eq!(breaches(&format!("#[cfg(test)]\nmod tests {{ fn f() {{\n{line}\n}} }}")), 0);
    }
    let with_attribute = "fn f() {\n// Cannot fail: checked.\n#[expect(a)]\nlet a = b.unwrap();\n}";
    assert_eq!(breaches(with_attribute), 0);
    let unrelated = "fn f() {\n// Cannot fail: checked.\nlet a = 1;\nlet a = b.unwrap();\n}";
    assert_eq!(breaches(unrelated), 1);
    assert_eq!(
        breaches("fn f() { b.unwrap_or(1); b.expect_byte; let expect = 1; \".unwrap()\"; }"),
        0
    );
}

#[test]
fn a_lint_silenced_without_a_reason_is_a_breach() {
    let breaches = |text: &str| silenced_lints_say_why(&Source::parse("a.rs", text)).len();
    for text in [
        "#[allow(dead_code)] fn f() {}",
        "#[expect(dead_code)] fn f() {}",
        "#![allow(dead_code)]",
        "#[cfg_attr(test, allow(dead_code))] fn f() {}",
        "fn f() { #[allow(dead_code)] let a = 1; }",
        "#[cfg(test)] mod tests { #[allow(dead_code)] fn f() {} }",
    ] {
        let because =
            |reason: &str| text.replace("dead_code)", &format!("dead_code, reason = {reason})"));
        assert_eq!(breaches(text), 1, "{text}");
        assert_eq!(breaches(&because("\"\"")), 1, "{text}");
        assert_eq!(breaches(&because("\"it is right\"")), 0, "{text}");
    }
    assert_eq!(breaches("#[deny(dead_code)] fn f() {}"), 0);
}

#[test]
fn a_library_that_lets_unsafe_in_is_a_breach() {
    let breaches =
        |path: &str, text: &str| library_roots_keep_unsafe_out(&Source::parse(path, text)).len();
    for root in LINT_ROOTS {
        assert_eq!(breaches(root, "//! Words about unsafe_code."), 1);
        assert_eq!(breaches(root, "#![warn(unsafe_code)]"), 1);
        assert_eq!(breaches(root, "#![forbid(unsafe_code)]"), 0);
        assert_eq!(breaches(root, "#![deny(unsafe_code)]"), 0);
    }
}
