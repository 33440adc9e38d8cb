//! Who may name what, and what names may not say nothing.

use syn::visit::{self, Visit};

use crate::allowed;
use crate::source::{Breach, Source, Token};

/// Names that say only "the rest".
const EMPTY_NAMES: [&str; 5] = ["utils", "common", "helpers", "misc", "types"];

/// What reaches outside: the clock, the network, files, threads. `::` stands for "as a path".
const OUTSIDE: [&[&str]; 8] = [
    &["SystemTime"],
    &["Instant"],
    &["UdpSocket"],
    &["TcpStream"],
    &["TcpListener"],
    &["fs", ":", ":"],
    &["thread", ":", ":"],
    &["Time", ":", ":", "now"],
];

pub fn file_names_say_something(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    for name in parts.filter(|part| EMPTY_NAMES.contains(part)) {
        breaches.push(source.breach(1, format!("`{name}` says nothing; name what is inside")));
    }
    let mut modules = Modules::default();
    modules.visit_file(&source.file);
    for (name, line) in modules.found {
        if EMPTY_NAMES.contains(&name.as_str()) {
            breaches.push(
                source.breach(line, format!("`mod {name}` says nothing; name what is inside")),
            );
        }
    }
    breaches
}

#[derive(Default)]
struct Modules {
    found: Vec<(String, usize)>,
}

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.found.push((module.ident.to_string(), module.ident.span().start().line));
        visit::visit_item_mod(self, module);
    }
}

pub fn crates_are_named_where_they_belong(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (name, line) in crates_named(source) {
        let owner = allowed::CRATES.iter().find(|(guarded, _)| *guarded == name);
        if let Some((name, only)) = owner
            && !source.path.starts_with(only)
        {
            breaches.push(source.breach(line, format!("only {only} may name {name}")));
        }
    }
    breaches
}

/// Every first part of a path that may be a crate, with its line: `mio` of `mio::Poll`, of
/// `use mio as m` and of `extern crate mio`; not that of `crate::mio::Poll` or of a variable.
fn crates_named(source: &Source) -> Vec<(String, usize)> {
    let mut whole = WholeCrates::default();
    whole.visit_file(&source.file);
    let tokens = &source.tokens;
    for (i, token) in tokens.iter().enumerate() {
        if follows(tokens, i + 1, &[":", ":"]) && !continues_a_path(tokens, i) {
            whole.found.push((token.text.clone(), token.line));
        }
    }
    whole.found
}

/// Whether `part`, `::`, stands before the token at `i`. A path that begins with `::` has no part.
fn continues_a_path(tokens: &[Token], i: usize) -> bool {
    let Some(before) = i.checked_sub(3) else { return false };
    let part = &tokens[before].text;
    let is_part = part == ">" || part.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    // `use ::mio` and `return ::mio::x()`: a keyword is not part of a path.
    let keyword = matches!(part.as_str(), "use" | "return" | "in" | "as" | "match" | "if" | "else");
    follows(tokens, i - 2, &[":", ":"]) && is_part && !keyword
}

fn follows(tokens: &[Token], at: usize, wanted: &[&str]) -> bool {
    let found = tokens.get(at..at + wanted.len());
    found.is_some_and(|found| found.iter().zip(wanted).all(|(token, text)| token.text == *text))
}

/// `use mio;`, `use mio as m;`, `use {mio, redb};` and `extern crate mio;`.
#[derive(Default)]
struct WholeCrates {
    found: Vec<(String, usize)>,
}

impl WholeCrates {
    fn add(&mut self, ident: &syn::Ident) {
        self.found.push((ident.to_string(), ident.span().start().line));
    }

    fn add_tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Name(name) => self.add(&name.ident),
            syn::UseTree::Rename(rename) => self.add(&rename.ident),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree)),
            // A path is found among the tokens.
            syn::UseTree::Path(_) | syn::UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for WholeCrates {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.add(&item.ident);
    }
}

pub fn unsafe_is_where_the_design_puts_it(source: &Source) -> Vec<Breach> {
    if allowed::UNSAFE_FILES.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let found = source.tokens.iter().filter(|token| token.text == "unsafe");
    found.map(|token| source.breach(token.line, "unsafe is not allowed in this file")).collect()
}

pub fn pure_code_touches_nothing_outside(source: &Source) -> Vec<Breach> {
    if !allowed::PURE.iter().any(|pure| source.path.starts_with(pure)) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (i, token) in source.tokens.iter().enumerate() {
        if source.is_test(token.line) {
            continue;
        }
        for outside in OUTSIDE.iter().filter(|outside| follows(&source.tokens, i, outside)) {
            let what = format!("{} reaches outside; take it as an argument", outside.concat());
            breaches.push(source.breach(token.line, what));
        }
    }
    breaches
}

#[test]
fn a_name_that_says_nothing_is_a_breach() {
    let breaches =
        |path: &str, text: &str| file_names_say_something(&Source::parse(path, text)).len();
    assert_eq!(breaches("http/src/utils.rs", ""), 1);
    assert_eq!(breaches("http/src/common/mod.rs", ""), 1);
    assert_eq!(breaches("http/src/a.rs", "mod b { mod helpers {} }"), 1);
    assert_eq!(breaches("http/src/feed/ipset.rs", "mod commons {}"), 0);
}

#[test]
fn a_guarded_crate_is_a_breach_elsewhere_however_it_is_named() {
    let breaches = |path: &str, text: &str| {
        crates_are_named_where_they_belong(&Source::parse(path, text)).len()
    };
    for text in [
        "use mio::Poll;",
        "use mio as m;",
        "use {mio, std::net};",
        "use std::net; use ::mio::Poll;",
        "extern crate mio;",
        "fn f() -> mio::Token { todo() }",
        "fn f() { return ::mio::f(); }",
        "fn f() { g!(1, mio::Token(1)) }",
        "#[cfg(test)] mod tests { use mio::Poll; }",
    ] {
        assert_eq!(breaches("engine/src/shard.rs", text), 1, "{text}");
        assert_eq!(breaches("engine/src/net/poll.rs", text), 0, "{text}");
    }
    for text in [
        "//! [`mio::Poll`]\nconst A: &str = \"mio::Poll\"; // mio::Poll",
        "use crate::net::mio::Poll;",
        "fn f(may: bool) -> bool { may }",
    ] {
        assert_eq!(breaches("engine/src/shard.rs", text), 0, "{text}");
    }
}

#[test]
fn every_guarded_crate_is_guarded() {
    for (name, only) in allowed::CRATES {
        let text = format!("use {name}::Thing;");
        let elsewhere = Source::parse("benches/src/lib.rs", &text);
        assert_eq!(crates_are_named_where_they_belong(&elsewhere).len(), 1, "{name}");
        let home = Source::parse(&format!("{}x.rs", only.trim_end_matches(".rs")), &text);
        let expected = usize::from(only.ends_with(".rs"));
        assert_eq!(crates_are_named_where_they_belong(&home).len(), expected, "{name}");
    }
}

#[test]
fn unsafe_is_a_breach_outside_the_listed_files() {
    let breaches = |path: &str, text: &str| {
        unsafe_is_where_the_design_puts_it(&Source::parse(path, text)).len()
    };
    for text in ["fn f() { unsafe { g() } }", "unsafe fn f() {}", "fn f() { g!(unsafe { h() }) }"] {
        assert_eq!(breaches("storage/src/log.rs", text), 1, "{text}");
        assert_eq!(breaches("dht/src/ffi.rs", text), 0, "{text}");
    }
    assert_eq!(breaches("storage/src/log.rs", "// unsafe\nconst A: &str = \"unsafe\";"), 0);
    assert_eq!(breaches("storage/src/log.rs", "#![forbid(unsafe_code)]"), 0);
}

#[test]
fn pure_code_that_reads_the_clock_is_a_breach() {
    let breaches = |path: &str, text: &str| {
        pure_code_touches_nothing_outside(&Source::parse(path, text)).len()
    };
    for text in [
        "fn f() { let now = Instant::now(); }",
        "use std::time::SystemTime;",
        "fn f() { std::fs::read(p) }",
        "fn f() -> u64 { Time::now().0 }",
        "fn f() { std::thread::yield_now() }",
        "fn f(socket: &UdpSocket) {}",
    ] {
        assert_eq!(breaches("engine/src/honeypot/tag.rs", text), 1, "{text}");
        assert_eq!(breaches("engine/src/main.rs", text), 0, "{text}");
        assert_eq!(
            breaches("engine/src/honeypot/tag.rs", &format!("#[cfg(test)] mod tests {{ {text} }}")),
            0
        );
    }
}
