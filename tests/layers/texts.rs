//! The texts in the sources of a crate: what it can say.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

/// A text, and where it stands.
pub(crate) struct Text {
    pub(crate) at: String,
    pub(crate) says: String,
}

/// Each text in the code under a `src` folder, those of tests and of the documentation left out.
pub(crate) fn read(src: &Path) -> Vec<Text> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            texts.extend(read(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code: TokenStream = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            gather(code, &path, &mut texts);
        }
    }
    texts
}

fn gather(code: TokenStream, path: &Path, texts: &mut Vec<Text>) {
    let mut tokens = code.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#!` stands for what is around it.
                let _inner = tokens.next_if(|next| matches!(next, TokenTree::Punct(punct) if punct.as_char() == '!'));
                let Some(TokenTree::Group(attribute)) = tokens.peek() else { continue };
                match attribute.stream().to_string() {
                    doc if doc.starts_with("doc ") => drop(tokens.next()),
                    test if test == "cfg (test)" => {
                        tokens.by_ref().take_while(|token| !ends_item(token)).for_each(drop)
                    }
                    _ => {}
                }
            }
            TokenTree::Group(group) => gather(group.stream(), path, texts),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    let at = format!("{}:{}", path.display(), literal.span().start().line);
                    texts.push(Text { at, says: text.value() });
                }
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) => {}
        }
    }
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        _ => false,
    }
}
