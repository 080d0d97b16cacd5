//! What a crate shows of itself to others, and whether an example shows it.

use std::collections::BTreeSet;
use std::path::Path;

use syn::{Attribute, Item, UseTree, Visibility};

/// The examples in the documentation of one file, and what it shows.
#[derive(Default)]
pub(crate) struct Page {
    /// The folder or file right under `src` that it is in.
    module: String,
    examples: String,
    shows: Vec<Shown>,
}

/// Something that others can name.
#[derive(Default)]
struct Shown {
    name: String,
    /// The type that it is a function of; its own name where it is of none.
    of: String,
    at: String,
    is_function: bool,
    has_example: bool,
    /// Whether it is left out of the documentation, and only for the command.
    is_hidden: bool,
}

/// All under a `src` folder, tests left out. What is public is shown: what others cannot reach is not public, or the
/// compiler says so. What only the hidden module `command` leads to is hidden.
pub(crate) fn read(src: &Path) -> Vec<Page> {
    let mut pages = Vec::new();
    walk(src, src, &mut pages);
    let hidden = led_to(&src.join("command.rs"));
    for shown in pages.iter_mut().flat_map(|page| &mut page.shows) {
        shown.is_hidden |= hidden.contains(&shown.of);
    }
    pages
}

/// How much there is to show to whoever embeds the crate, and how much only to the command.
pub(crate) fn shown(pages: &[Page]) -> (usize, usize) {
    let all = || pages.iter().flat_map(|page| &page.shows);
    (all().filter(|shown| !shown.is_hidden).count(), all().filter(|shown| shown.is_hidden).count())
}

/// Those that are shown to whoever embeds the crate, and have no example of their own.
pub(crate) fn without_their_own(pages: &[Page]) -> Vec<String> {
    let all = pages.iter().flat_map(|page| &page.shows);
    let without = all.filter(|shown| !shown.is_hidden && !shown.has_example);
    without.map(|Shown { name, of, at, .. }| format!("{at}: {name} of {of}")).collect()
}

/// The names that a module passes on.
fn led_to(module: &Path) -> BTreeSet<String> {
    fn names(tree: &UseTree, into: &mut BTreeSet<String>) {
        match tree {
            UseTree::Path(path) => names(&path.tree, into),
            UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, into)),
            UseTree::Name(name) => drop(into.insert(name.ident.to_string())),
            UseTree::Rename(name) => drop(into.insert(name.ident.to_string())),
            UseTree::Glob(_) => panic!("whose names it passes on is not seen"),
        }
    }
    let mut all = BTreeSet::new();
    for item in syn::parse_file(&std::fs::read_to_string(module).unwrap()).unwrap().items {
        if let Item::Use(passed_on) = item {
            names(&passed_on.tree, &mut all);
        }
    }
    all
}

/// Those that no example shows. A type is shown where an example names it; a function where one of its own does, or one
/// of its module calls it.
pub(crate) fn without_example(pages: &[Page]) -> Vec<String> {
    let named =
        |name: &str| pages.iter().any(|page| page.examples.split(is_no_part_of_a_name).any(|word| word == name));
    let called = |name: &str, module: &str| {
        let calls = |page: &Page| page.module == module && page.examples.contains(&format!("{name}("));
        pages.iter().any(calls)
    };
    let mut without = Vec::new();
    for page in pages {
        for shown in &page.shows {
            let Shown { name, is_function, has_example, .. } = shown;
            let elsewhere = if *is_function { called(name, &page.module) } else { named(name) };
            if !has_example && !elsewhere {
                without.push(format!("{}: {name}", shown.at));
            }
        }
    }
    without
}

fn is_no_part_of_a_name(one: char) -> bool {
    !one.is_alphanumeric() && one != '_'
}

fn walk(folder: &Path, src: &Path, pages: &mut Vec<Page>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            walk(&path, src, pages);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let below = path.strip_prefix(src).unwrap();
            let module = below.components().next().unwrap().as_os_str().to_string_lossy();
            let mut page = Page { module: module.trim_end_matches(".rs").to_owned(), ..Page::default() };
            page.examples.push_str(&examples(&file.attrs));
            page.of_items(&file.items, &below.display().to_string());
            pages.push(page);
        }
    }
}

impl Page {
    fn of_items(&mut self, items: &[Item], at: &str) {
        for item in items {
            // An exported macro is public, and has no word for it.
            let everywhere = Visibility::Public(syn::token::Pub::default());
            let (attributes, visibility, name, is_function) = match item {
                Item::Macro(of) if of.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) => {
                    let name = of.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                    (&of.attrs, &everywhere, name, false)
                }
                Item::Struct(of) => (&of.attrs, &of.vis, of.ident.to_string(), false),
                Item::Enum(of) => (&of.attrs, &of.vis, of.ident.to_string(), false),
                Item::Trait(of) => (&of.attrs, &of.vis, of.ident.to_string(), false),
                Item::Type(of) => (&of.attrs, &of.vis, of.ident.to_string(), false),
                Item::Const(of) => (&of.attrs, &of.vis, of.ident.to_string(), false),
                Item::Fn(of) => (&of.attrs, &of.vis, of.sig.ident.to_string(), true),
                Item::Impl(of) if of.trait_.is_none() => {
                    self.of_methods(of, at);
                    continue;
                }
                Item::Mod(of) if !of.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) => {
                    of.content.iter().for_each(|(_, items)| self.of_items(items, at));
                    continue;
                }
                _ => continue,
            };
            let of = name.clone();
            self.add(attributes, visibility, Shown { name, of, at: at.to_owned(), is_function, ..Shown::default() });
        }
    }

    fn of_methods(&mut self, block: &syn::ItemImpl, at: &str) {
        let of = match &*block.self_ty {
            syn::Type::Path(path) => path.path.segments.last().unwrap().ident.to_string(),
            _ => String::new(),
        };
        let is_hidden = is_hidden(&block.attrs);
        for item in &block.items {
            if let syn::ImplItem::Fn(method) = item {
                let (name, of, at) = (method.sig.ident.to_string(), of.clone(), at.to_owned());
                let shown = Shown { name, of, at, is_function: true, is_hidden, ..Shown::default() };
                self.add(&method.attrs, &method.vis, shown);
            }
        }
    }

    fn add(&mut self, attributes: &[Attribute], visibility: &Visibility, shown: Shown) {
        let examples = examples(attributes);
        // Generated code has to name a type that others cannot reach, which the compiler is told.
        let is_allowed = attributes.iter().any(|attribute| attribute.path().is_ident("allow"));
        if matches!(visibility, Visibility::Public(_)) && !is_allowed && !is_hidden(attributes) {
            self.shows.push(Shown { has_example: !examples.is_empty(), ..shown });
        }
        self.examples.push_str(&examples);
    }
}

/// Whether it is left out of the documentation.
fn is_hidden(attributes: &[Attribute]) -> bool {
    let left_out = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    };
    attributes.iter().any(left_out)
}

/// The code in the documentation of something.
fn examples(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let value = &attribute.meta.require_name_value().ok()?.value;
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = value else { return None };
        Some(text.value())
    });
    let (mut code, mut is_code) = (String::new(), false);
    for line in lines {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            code.push_str(&line);
            code.push('\n');
        }
    }
    code
}
