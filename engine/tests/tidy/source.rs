//! One Rust file as the rules see it: its tokens, its syntax tree, its comments, and which of its
//! lines are tests.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A place where a rule does not hold.
#[derive(Debug)]
pub struct Breach {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// One token, with its line, flattened out of the groups that hold it. Groups become their two
/// delimiters.
#[derive(Debug)]
pub struct Token {
    pub line: usize,
    pub text: String,
}

/// One file.
pub struct Source {
    /// Relative to the root of the repository, with `/`.
    pub path: String,
    pub file: syn::File,
    pub tokens: Vec<Token>,
    lines: Vec<String>,
    tests: Vec<RangeInclusive<usize>>,
    statements: Vec<RangeInclusive<usize>>,
    all_test: bool,
}

impl Source {
    /// Reads `text` as the file at `path`. A file that is not Rust is a breach of every rule.
    pub fn parse(path: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
        let file: syn::File = syn::parse2(stream.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut ranges = Ranges::default();
        ranges.visit_file(&file);
        Self {
            path: path.to_owned(),
            tokens,
            lines: text.lines().map(str::to_owned).collect(),
            tests: ranges.tests,
            statements: ranges.statements,
            all_test: path.split('/').any(|part| part == "tests"),
            file,
        }
    }

    /// Whether `line` (from 1) is part of a test, or of a module that only tests have.
    pub fn is_test(&self, line: usize) -> bool {
        self.all_test || self.tests.iter().any(|range| range.contains(&line))
    }

    /// How many of its lines are not tests.
    pub fn production_lines(&self) -> usize {
        (1..=self.lines.len()).filter(|line| !self.is_test(*line)).count()
    }

    /// Whether a `//` comment with something to say stands directly above `line`, or directly above
    /// the innermost statement that holds it (and above that statement's attributes).
    pub fn is_explained(&self, line: usize) -> bool {
        let holding = self.statements.iter().filter(|range| range.contains(&line));
        let innermost = holding.min_by_key(|range| range.end() - range.start());
        self.is_comment(line - 1)
            || innermost.is_some_and(|range| self.is_comment(range.start() - 1))
    }

    /// Whether `line` is an ordinary comment of at least two words. Documentation does not count.
    fn is_comment(&self, line: usize) -> bool {
        let Some(text) = line.checked_sub(1).and_then(|index| self.lines.get(index)) else {
            return false;
        };
        let comment = text.trim_start().strip_prefix("//");
        comment.is_some_and(|said| {
            !said.starts_with(['/', '!']) && said.split_whitespace().nth(1).is_some()
        })
    }

    pub fn breach(&self, line: usize, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line, what: what.into() }
    }
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                into.push(Token { line, text: open.to_owned() });
                flatten(group.stream(), into);
                let LineColumn { line, .. } = group.span_close().start();
                into.push(Token { line, text: close.to_owned() });
            }
            TokenTree::Ident(ident) => into.push(Token { line, text: ident.to_string() }),
            TokenTree::Punct(punct) => into.push(Token { line, text: punct.as_char().to_string() }),
            // The text of a literal is nobody's business: only that something stands here.
            TokenTree::Literal(_) => into.push(Token { line, text: "\"".to_owned() }),
        }
    }
}

/// Where the tests and the statements of a file are.
#[derive(Default)]
struct Ranges {
    tests: Vec<RangeInclusive<usize>>,
    statements: Vec<RangeInclusive<usize>>,
}

impl<'ast> Visit<'ast> for Ranges {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).iter().any(is_for_tests) {
            self.tests.push(lines_of(item));
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.attrs.iter().any(is_for_tests) {
            self.tests.push(lines_of(function));
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        self.statements.push(lines_of(statement));
        visit::visit_stmt(self, statement);
    }
}

pub fn lines_of(node: &impl Spanned) -> RangeInclusive<usize> {
    let span = node.span();
    span.start().line..=span.end().line
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// `#[test]`, `#[cfg(test)]` and `#[cfg(all(test, …))]`. Not `not(test)`, nor `any(test, …)`, which
/// is production code too.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let Ok(list) = attribute.meta.require_list() else { return false };
    if !list.path.is_ident("cfg") {
        return false;
    }
    let text: String = list.tokens.to_string().split_whitespace().collect();
    text == "test" || text.starts_with("all(test,") || text.starts_with("all(test)")
}

/// The top of the repository.
pub fn root() -> PathBuf {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    engine.parent().unwrap_or_else(|| panic!("the engine is a folder of the workspace")).to_owned()
}

/// Every Rust file of the repository, in the order of their paths.
pub fn repository(root: &Path) -> Vec<Source> {
    let mut paths = BTreeSet::new();
    rust_files(root, &mut paths);
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        Source::parse(&relative, &text)
    };
    let mut sources: Vec<Source> = paths.iter().map(read).collect();
    let test_modules: Vec<String> = sources.iter().flat_map(test_files).collect();
    for source in &mut sources {
        source.all_test |= test_modules.contains(&source.path);
    }
    sources
}

/// Walks everything but build folders (which cargo tags) and hidden folders.
fn rust_files(folder: &Path, into: &mut BTreeSet<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())))
    {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() {
            let built = entry.file_name() == "target" || path.join("CACHEDIR.TAG").exists();
            if !hidden && !built {
                rust_files(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.insert(path);
        }
    }
}

/// The files that `#[cfg(test)] mod name;` of this file may mean.
fn test_files(source: &Source) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let folder = match name.trim_end_matches(".rs") {
        "lib" | "main" | "mod" => folder.to_owned(),
        stem => format!("{folder}/{stem}"),
    };
    let modules = source.file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() => Some(module),
        _ => None,
    });
    modules
        .filter(|module| module.attrs.iter().any(is_for_tests))
        .flat_map(|module| {
            let name = &module.ident;
            [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
        })
        .collect()
}

#[test]
fn tests_are_told_from_production() {
    let source = Source::parse(
        "engine/src/a.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(not(test))]\nfn c() {}\n",
    );
    let test: Vec<usize> = (1..=7).filter(|line| source.is_test(*line)).collect();
    assert_eq!(test, [2, 3, 4, 5]);
    assert_eq!(source.production_lines(), 3);
    assert!(Source::parse("engine/tests/a.rs", "fn a() {}").is_test(1));
    assert!(!Source::parse("engine/src/a.rs", "#[cfg(any(test, fuzzing))]\nfn a() {}").is_test(2));
}

#[test]
fn a_test_module_in_a_file_of_its_own_is_found() {
    let source = Source::parse("engine/src/net/tcp.rs", "#[cfg(test)]\nmod flow;\nmod stream;\n");
    assert_eq!(
        test_files(&source),
        ["engine/src/net/tcp/flow.rs", "engine/src/net/tcp/flow/mod.rs"]
    );
}

#[test]
fn strings_and_comments_are_not_tokens() {
    let source = Source::parse("a.rs", "/// unsafe\nconst A: &str = \"unsafe\"; // unsafe\n");
    assert!(source.tokens.iter().all(|token| token.text != "unsafe"));
}
