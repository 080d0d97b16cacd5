//! Which names a new component may have: those that are a crate's name and a component's at once.

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// Rust's keywords, strict and reserved.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "_",
];

/// Crates that a component links, and what cargo keeps for itself.
const TAKEN: [&str; 11] = [
    "airssys-sdk",
    "airssys_sdk",
    "alloc",
    "build",
    "core",
    "deps",
    "incremental",
    "proc_macro",
    "serde",
    "std",
    "test",
];

/// Says what is wrong with the name.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > LONGEST {
        return Err("it is longer than 64 bytes");
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err("it does not begin with a letter");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err("it holds something else than letters, digits, `-` and `_`");
    }
    if KEYWORDS.contains(&name) {
        return Err("it is a keyword of Rust");
    }
    if TAKEN.contains(&name) {
        return Err("it is the name of something that cargo or the component needs itself");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_crates_are_taken() {
        for good in ["a", "price-list", "Shop_2", "echo"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = "a".repeat(65);
        for bad in ["", "2nd", "-a", "_", "a b", "a/b", "../a", "ä", "a.b", "fn", "self", "serde", "airssys-sdk", &long]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
