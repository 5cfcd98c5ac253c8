//! Finds which files name items of which others.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemUse, Macro, Path};

use super::modules::{Id, Modules, imports_of, is_for_tests, is_visible};

/// The arrows between the files of a crate, some more than once.
pub(super) fn all(modules: &Modules) -> Vec<(String, String)> {
    let mut arrows = Vec::new();
    for id in modules.ids() {
        let Some(module) = modules.get(id) else { continue };
        let mut names = Names { modules, id, targets: Vec::new() };
        module.items.iter().for_each(|item| names.visit_item(item));
        let targets = names.targets.into_iter().filter_map(|target| modules.get(target));
        arrows.extend(targets.map(|target| (module.file.clone(), target.file.clone())));
    }
    arrows
}

/// Collects the modules whose items one module names.
struct Names<'a> {
    modules: &'a Modules,
    id: Id,
    targets: Vec<Id>,
}

impl Names<'_> {
    /// A single name is defined here or imported, and the import counts already.
    fn note(&mut self, path: &[String]) {
        if path.len() > 1 {
            self.targets.extend(self.modules.find(self.id, path));
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, used: &'ast ItemUse) {
        for import in imports_of(&used.tree) {
            let Some(target) = self.modules.find(self.id, &import.path) else { continue };
            // A module that only re-exports items of its children does not use them.
            let shown = is_visible(&used.vis) && self.modules.is_inside(target, self.id);
            if !shown {
                self.targets.push(target);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.note(&names.collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        paths_in(called.tokens.clone()).iter().for_each(|path| self.note(path));
    }
}

/// The paths in what a macro is given, which has no grammar.
fn paths_in(tokens: TokenStream) -> Vec<Vec<String>> {
    let mut paths = vec![Vec::new()];
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    paths.push(Vec::new());
                }
                paths.last_mut().into_iter().for_each(|path| path.push(name.to_string()));
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                paths.extend(paths_in(group.stream()));
                paths.push(Vec::new());
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                paths.push(Vec::new());
                colons = 0;
            }
        }
    }
    paths
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let modules = Modules::read(folder.path(), "our-crate").unwrap();
        let mut found = all(&modules);
        found.retain(|(from, to)| from != to);
        found.sort();
        found.dedup();
        let found: Vec<_> = found.iter().map(|(from, to)| (&**from, &**to)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_arrow_leads_to_where_the_item_is_defined() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod user; pub use a::inner::Leaf;"),
                ("a.rs", "pub mod inner; pub use inner::Leaf;"),
                ("a/inner.rs", "pub struct Leaf; pub fn f() { let _ = super::super::b::X; }"),
                ("b.rs", "pub const X: u8 = 1; use std::fmt; fn g() { fmt::format(todo!()); }"),
                ("user.rs", "use crate::Leaf; use crate::a;"),
            ],
            &[("a/inner.rs", "b.rs"), ("user.rs", "a.rs"), ("user.rs", "a/inner.rs")],
        );
    }

    #[test]
    fn macros_and_programs_count_and_tests_do_not() {
        check(
            &[
                ("lib.rs", "pub mod a; pub mod b;"),
                ("main.rs", "fn main() { println!(\"{}\", our_crate::b::X); }"),
                ("a.rs", "#[cfg(test)] mod tests { use crate::b::X; } #[cfg(test)] use crate::b;"),
                ("b.rs", "pub const X: u8 = 1; fn f() { assert!(g(crate::a::Y)); }"),
            ],
            &[("b.rs", "a.rs"), ("main.rs", "b.rs")],
        );
    }
}
