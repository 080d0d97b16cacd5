//! The greeter of the book's tutorial, at its end.

use airssys_sdk::prelude::*;

#[derive(Deserialize)]
struct Visitor {
    name: String,
}

#[component]
fn greet(visitor: Visitor) -> Result<String> {
    if visitor.name.is_empty() {
        return Err(Fault::invalid("a name, please"));
    }
    let guests = state::increment("guests", 1)?;
    if visitor.name == "Brutus" {
        panic!("et tu");
    }
    Ok(format!("Hello, {}! You are number {guests}.", visitor.name))
}

#[test]
fn who_has_no_name_is_refused() {
    assert_eq!(greet(Visitor { name: String::new() }), Err(Fault::invalid("a name, please")));
}
