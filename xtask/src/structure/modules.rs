//! The modules of one crate, as its files declare them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use syn::{Attribute, Item, UseTree, Visibility};

/// A module by its number.
pub(super) type Id = usize;

/// All modules of a crate. A module inside a file is a module of its own in the same file.
#[derive(Debug)]
pub(super) struct Modules {
    all: Vec<Module>,
    /// `lib.rs` and the programs.
    roots: Vec<Id>,
    /// The library's name in the programs, and its module.
    library: Option<(String, Id)>,
}

#[derive(Debug)]
pub(super) struct Module {
    /// Below `src`.
    pub(super) file: String,
    pub(super) parent: Option<Id>,
    pub(super) items: Vec<Item>,
    children: BTreeMap<String, Id>,
    /// Names that `use` brings, and their paths as written.
    imported: BTreeMap<String, Vec<String>>,
}

/// One name that a `use` brings.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// Its name here; `*` for all items of a module.
    pub(super) name: String,
}

impl Modules {
    /// Reads `lib.rs` and `main.rs` below `sources` and all modules they declare.
    pub(super) fn read(sources: &Path, package: &str) -> anyhow::Result<Self> {
        let mut modules = Self { all: Vec::new(), roots: Vec::new(), library: None };
        for name in ["lib.rs", "main.rs"] {
            let file = sources.join(name);
            if file.is_file() {
                let root = modules.file(sources, &file, sources, None)?;
                modules.roots.push(root);
                if name == "lib.rs" {
                    modules.library = Some((package.replace('-', "_"), root));
                }
            }
        }
        Ok(modules)
    }

    pub(super) fn ids(&self) -> std::ops::Range<Id> {
        0..self.all.len()
    }

    pub(super) fn get(&self, id: Id) -> Option<&Module> {
        self.all.get(id)
    }

    /// The files, each once.
    pub(super) fn files(&self) -> Vec<String> {
        self.all.iter().map(|module| module.file.clone()).collect()
    }

    /// The module that defines the item at `path`, as written in `from`; none when that is another crate.
    pub(super) fn find(&self, from: Id, path: &[String]) -> Option<Id> {
        self.find_within(from, path, 16)
    }

    fn find_within(&self, from: Id, path: &[String], steps: usize) -> Option<Id> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let here = self.get(from)?;
        let start = match first.as_str() {
            "crate" => self.root_of(from)?,
            "self" => from,
            "super" => here.parent?,
            name => match here.children.get(name) {
                Some(child) => *child,
                None => match here.imported.get(name) {
                    Some(path) if path != &[name.to_owned()] => {
                        self.find_within(from, path, steps)?
                    }
                    Some(_) => return None,
                    None => self.library.as_ref().filter(|(library, _)| library == name)?.1,
                },
            },
        };
        let mut at = start;
        let mut rest = rest;
        while let Some((name, after)) = rest.split_first() {
            let module = self.get(at)?;
            if name == "super" {
                at = module.parent?;
            } else if let Some(child) = module.children.get(name) {
                at = *child;
            } else if let Some(path) = module.imported.get(name) {
                // Re-exported: defined elsewhere, perhaps in another crate.
                let whole: Vec<String> = path.iter().chain(after).cloned().collect();
                return self.find_within(at, &whole, steps);
            } else {
                break;
            }
            rest = after;
        }
        Some(at)
    }

    /// Whether `module` is `ancestor` or lies inside it.
    pub(super) fn is_inside(&self, module: Id, ancestor: Id) -> bool {
        let parent = |id: &Id| self.get(*id).and_then(|module| module.parent);
        std::iter::successors(Some(module), parent).any(|id| id == ancestor)
    }

    fn root_of(&self, module: Id) -> Option<Id> {
        self.roots.iter().copied().find(|root| self.is_inside(module, *root))
    }

    /// Reads a file; its children lie in `folder`.
    fn file(
        &mut self,
        sources: &Path,
        file: &Path,
        folder: &Path,
        parent: Option<Id>,
    ) -> anyhow::Result<Id> {
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("parsing {}", file.display()))?;
        let name = file.strip_prefix(sources).unwrap_or(file).to_string_lossy();
        self.module(sources, &name, parsed.items, folder, parent)
    }

    fn module(
        &mut self,
        sources: &Path,
        file: &str,
        items: Vec<Item>,
        folder: &Path,
        parent: Option<Id>,
    ) -> anyhow::Result<Id> {
        let id = self.all.len();
        let imported = imports(&items).map(|import| (import.name, import.path)).collect();
        let children = BTreeMap::new();
        self.all.push(Module {
            file: file.to_owned(),
            parent,
            items: Vec::new(),
            children,
            imported,
        });
        let mut own = Vec::new();
        for item in items {
            let Item::Mod(declared) = item else {
                own.push(item);
                continue;
            };
            if is_for_tests(&declared.attrs) {
                continue;
            }
            let name = declared.ident.to_string();
            let below = folder.join(&name);
            let child = match declared.content {
                Some((_, items)) => self.module(sources, file, items, &below, Some(id))?,
                None => self.file(sources, &lies_at(folder, &name), &below, Some(id))?,
            };
            if let Some(module) = self.all.get_mut(id) {
                module.children.insert(name, child);
            }
        }
        if let Some(module) = self.all.get_mut(id) {
            module.items = own;
        }
        Ok(id)
    }
}

fn lies_at(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name).with_extension("rs");
    if file.is_file() { file } else { folder.join(name).join("mod.rs") }
}

/// Whether an item is compiled for tests alone.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let test = |list: &syn::MetaList| list.tokens.to_string() == "test";
        attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(test)
    })
}

/// All that the `use` items at the top of a module bring.
fn imports(items: &[Item]) -> impl Iterator<Item = Import> {
    let used = items.iter().filter_map(|item| match item {
        Item::Use(used) if !is_for_tests(&used.attrs) => Some(used),
        _ => None,
    });
    used.flat_map(|used| imports_of(&used.tree))
}

/// The names of one `use`.
pub(super) fn imports_of(tree: &UseTree) -> Vec<Import> {
    let mut found = Vec::new();
    walk(tree, &mut Vec::new(), &mut found);
    found
}

fn walk(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<Import>) {
    let leaf = |path: &[String], last: String, name: String| {
        let mut whole = path.to_vec();
        if last != "self" {
            whole.push(last);
        }
        let name = if name == "self" { whole.last().cloned().unwrap_or(name) } else { name };
        Import { path: whole, name }
    };
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            walk(&step.tree, path, found);
            path.pop();
        }
        UseTree::Name(last) => {
            let last = last.ident.to_string();
            found.push(leaf(path, last.clone(), last));
        }
        UseTree::Rename(last) => {
            found.push(leaf(path, last.ident.to_string(), last.rename.to_string()));
        }
        UseTree::Glob(_) => found.push(Import { path: path.clone(), name: "*".to_owned() }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path, found)),
    }
}

/// Whether an item is visible outside its module.
pub(super) fn is_visible(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}
