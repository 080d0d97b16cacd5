//! Which module of a crate knows which other one, read from its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

/// The modules of a crate, each a file, by their paths: `engine::host`, and the empty one for the crate itself.
pub(crate) struct Sources {
    modules: BTreeMap<Name, Module>,
}

/// The path of a module within its crate.
type Name = Vec<String>;

struct Module {
    file: PathBuf,
    /// The paths that its code names, and the lines.
    named: Vec<(Name, usize)>,
    /// What it passes on under a name of its own: the name, and the path of what is meant.
    passed_on: BTreeMap<String, Name>,
}

/// That one module knows another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    file: PathBuf,
    line: usize,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} -> {}", self.file.display(), self.line, self.from, self.to)
    }
}

impl Sources {
    /// Reads all files under the `src` folder of a crate.
    pub(crate) fn read(src: &Path) -> Self {
        let mut sources = Self { modules: BTreeMap::new() };
        sources.read_folder(src, src);
        sources
    }

    fn read_folder(&mut self, src: &Path, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.read_folder(src, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.read_file(src, &path);
            }
        }
    }

    fn read_file(&mut self, src: &Path, path: &Path) {
        let within = path.strip_prefix(src).unwrap().with_extension("");
        let mut name: Name = within.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if name.iter().any(|part| part == "tests") {
            return;
        }
        if name.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
            name.pop();
        }
        let text = std::fs::read_to_string(path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Reader { name: &name, named: Vec::new(), passed_on: BTreeMap::new() };
        reader.visit_file(&file);
        let Reader { named, passed_on, .. } = reader;
        self.modules.insert(name, Module { file: path.to_owned(), named, passed_on });
    }

    /// Who knows whom, each pair once. Who only passes a name on does not know it: whoever uses the name does.
    pub(crate) fn arrows(&self) -> Vec<Arrow> {
        let mut seen = BTreeSet::new();
        let mut arrows = Vec::new();
        for (name, module) in &self.modules {
            for (path, line) in &module.named {
                let Some(to) = self.home(path, 0) else { continue };
                if to != name && seen.insert((name, to)) {
                    let (from, to) = (name.join("::"), to.join("::"));
                    arrows.push(Arrow { from, to, file: module.file.clone(), line: *line });
                }
            }
        }
        arrows
    }

    /// The module that has what a path names.
    fn home(&self, path: &[String], followed: usize) -> Option<&Name> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (name, module) = self.modules.get_key_value(&path[..length])?;
        match path.get(length).and_then(|next| module.passed_on.get(next)) {
            Some(meant) if followed < 8 => {
                let meant: Name = meant.iter().chain(&path[length + 1..]).cloned().collect();
                self.home(&meant, followed + 1)
            }
            // A module of another crate under the name of ours, or the crate's own root.
            _ => Some(name),
        }
    }
}

/// Gathers what one file names.
struct Reader<'a> {
    name: &'a Name,
    named: Vec<(Name, usize)>,
    passed_on: BTreeMap<String, Name>,
}

impl Reader<'_> {
    /// A path as it is from the crate's root; none where it begins in another crate, or in what is in scope here.
    fn seen_from_root(&self, path: &[String]) -> Option<Name> {
        let first = path.first()?;
        let mut base = match first.as_str() {
            // The visibility in what a macro is given.
            "crate" if path.len() == 1 => return None,
            "crate" => Vec::new(),
            "self" | "super" => self.name.clone(),
            _ => return None,
        };
        for part in path.iter().skip(usize::from(first != "super")) {
            if part == "super" {
                base.pop();
            } else {
                base.push(part.clone());
            }
        }
        Some(base)
    }

    fn name(&mut self, path: &[String], line: usize) {
        if let Some(path) = self.seen_from_root(path) {
            self.named.push((path, line));
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], passes_on: bool) {
        let with = |part: &proc_macro2::Ident| before.iter().cloned().chain([part.to_string()]).collect::<Name>();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.use_tree(&path.tree, &with(&path.ident), passes_on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.use_tree(tree, before, passes_on));
            }
            UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
            UseTree::Glob(_) if passes_on => return,
            UseTree::Glob(_) => (before.to_vec(), None),
        };
        // What begins with none of the three may be a child of this module; where there is no such child, nobody has
        // that path.
        let path = self.seen_from_root(&path).unwrap_or_else(|| self.name.iter().cloned().chain(path).collect());
        match name {
            Some(name) if passes_on => drop(self.passed_on.insert(name, path)),
            _ => self.named.push((path, tree.span().start().line)),
        }
    }

    /// The paths in what a macro is given, which is not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Name = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.name(&std::mem::take(&mut path), line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    let path = std::mem::take(&mut path);
                    self.name(&path, line);
                    colons = 0;
                    match other {
                        // `pub(crate)` says who may know something, and not whom it knows.
                        TokenTree::Group(_) if path == ["pub"] => {}
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.name(&path, line);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        // Tests may look at everything.
        let is_test = attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|only| only == "test")
        });
        if !is_test {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    /// `pub(super)` says who may know this module, and not whom it knows.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Name = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(&parts, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

/// The circles among arrows: the modules from each of which one comes to each other one.
pub(crate) fn circles(arrows: &[Arrow]) -> Vec<BTreeSet<&str>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|from| (*from, reach(from, &next))).collect();
    let there_and_back = |from: &str, to: &str| reached.get(to).is_some_and(|back| back.contains(from));
    let of = |from: &&str| reached[*from].iter().copied().filter(|to| there_and_back(from, to)).collect();
    let circles: BTreeSet<BTreeSet<&str>> =
        reached.keys().map(of).filter(|circle: &BTreeSet<_>| circle.len() > 1).collect();
    circles.into_iter().collect()
}

fn reach<'a>(from: &'a str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(one) = open.pop() {
        for to in next.get(one).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}
