//! Functions fit on a screen, and files have one subject.

use syn::visit::{self, Visit};

use crate::source::{Breach, Source};

/// Lines that a function may have, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines that a file may have, tests not counted.
pub const FILE_LINES_MAX: usize = 400;

pub fn functions_fit_on_a_screen(source: &Source) -> Vec<Breach> {
    let mut functions = Functions::default();
    functions.visit_file(&source.file);
    let long = functions.found.into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LINES_MAX);
    let breach = |(name, line, lines)| {
        source
            .breach(line, format!("fn {name} has {lines} lines; {FUNCTION_LINES_MAX} are the most"))
    };
    long.map(breach).collect()
}

/// Name, first line and number of lines of each function.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        self.found.push((signature.ident.to_string(), first, last - first + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// `allowed` holds the files that may be longer, each with its reason. One that is not needed is a
/// breach as well, so that the list only ever holds what is true.
pub fn files_are_short(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<Breach> {
    let reason_of = |path: &str| allowed.iter().find(|(file, _)| *file == path);
    let mut breaches = Vec::new();
    for source in sources {
        let lines = source.production_lines();
        if lines > FILE_LINES_MAX && reason_of(&source.path).is_none() {
            let what = format!("{lines} lines without its tests; {FILE_LINES_MAX} are the most");
            breaches.push(source.breach(lines, what));
        }
    }
    for (path, reason) in allowed {
        let long = sources.iter().any(|s| s.path == *path && s.production_lines() > FILE_LINES_MAX);
        if !long || reason.is_empty() {
            let what =
                "its entry among the long files is not needed, or gives no reason".to_owned();
            breaches.push(Breach { path: (*path).to_owned(), line: 1, what });
        }
    }
    breaches
}

#[test]
fn a_function_of_71_lines_is_a_breach_wherever_it_stands() {
    let function = |lines: usize| format!("fn f() {{\n{}}}", "let _ = 1;\n".repeat(lines - 2));
    let breaches = |text: &str| functions_fit_on_a_screen(&Source::parse("a.rs", text)).len();
    assert_eq!(breaches(&function(70)), 0);
    assert_eq!(breaches(&function(71)), 1);
    assert_eq!(breaches(&format!("impl A {{ {} }}", function(71))), 1);
    assert_eq!(breaches(&format!("trait A {{ {} }}", function(71))), 1);
    assert_eq!(breaches(&format!("fn outer() {{ {} }}", function(69))), 0);
    assert_eq!(breaches(&format!("mod tests {{ {} }}", function(71))), 1);
    assert_eq!(breaches(&format!("{}\n{}", "/// Words.\n".repeat(80), function(70))), 0);
}

#[test]
fn a_file_of_401_lines_is_a_breach_unless_the_list_says_why() {
    let text = "const A: u8 = 1;\n".repeat(401);
    let long = || vec![Source::parse("a.rs", &text)];
    assert_eq!(files_are_short(&long(), &[]).len(), 1);
    assert_eq!(files_are_short(&long(), &[("a.rs", "a table")]).len(), 0);
    assert_eq!(files_are_short(&long(), &[("a.rs", "")]).len(), 1);
    let with_tests = format!("const A: u8 = 1;\n#[cfg(test)]\nmod tests {{\n{text}}}\n");
    assert_eq!(files_are_short(&[Source::parse("a.rs", &with_tests)], &[]).len(), 0);
}

#[test]
fn an_entry_that_is_no_longer_needed_is_a_breach() {
    let short = || vec![Source::parse("a.rs", "const A: u8 = 1;\n")];
    assert_eq!(files_are_short(&short(), &[("a.rs", "a table")]).len(), 1);
    assert_eq!(files_are_short(&short(), &[("gone.rs", "a table")]).len(), 1);
}
