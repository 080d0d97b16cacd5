//! What a crate shows of itself to others, and whether an example shows it.

use std::path::Path;

use syn::{Attribute, Item, Visibility};

/// The examples in the documentation of one file, and what it shows.
#[derive(Default)]
pub(crate) struct Page {
    /// The folder or file right under `src` that it is in.
    module: String,
    examples: String,
    shows: Vec<Shown>,
}

/// Something that others can name.
struct Shown {
    name: String,
    at: String,
    is_function: bool,
    has_example: bool,
}

/// All under a `src` folder, tests left out. What is public is shown: what others cannot reach is not public, or the
/// compiler says so.
pub(crate) fn read(src: &Path) -> Vec<Page> {
    let mut pages = Vec::new();
    walk(src, src, &mut pages);
    pages
}

/// How much there is to show.
pub(crate) fn shown(pages: &[Page]) -> usize {
    pages.iter().map(|page| page.shows.len()).sum()
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
            let (attributes, visibility, name, is_function) = match item {
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
            self.add(attributes, visibility, name, is_function, at);
        }
    }

    fn of_methods(&mut self, of: &syn::ItemImpl, at: &str) {
        for item in &of.items {
            if let syn::ImplItem::Fn(method) = item {
                self.add(&method.attrs, &method.vis, method.sig.ident.to_string(), true, at);
            }
        }
    }

    fn add(&mut self, of: &[Attribute], visibility: &Visibility, name: String, is_function: bool, at: &str) {
        let examples = examples(of);
        // Two exceptions, each of one item: generated code has to name a type that others cannot reach, and the benches
        // measure on an engine that the documentation leaves out.
        let is_left_out = of.iter().any(|attribute| match &attribute.meta {
            syn::Meta::List(list) => list.path.is_ident("allow") || list.path.is_ident("doc"),
            _ => false,
        });
        if matches!(visibility, Visibility::Public(_)) && !is_left_out {
            let has_example = !examples.is_empty();
            self.shows.push(Shown { name, at: at.to_owned(), is_function, has_example });
        }
        self.examples.push_str(&examples);
    }
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
