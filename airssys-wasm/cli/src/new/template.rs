//! What new projects consist of: for each kind its files, path and text. `{{name}}` and `{{sdk}}` are filled in.

/// The files of a project.
pub(super) type Template = &'static [(&'static str, &'static str)];

/// One component in Rust.
pub(super) const RUST: Template = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    COMPONENT,
    TOPOLOGY,
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    (".gitignore", include_str!("template/gitignore.txt")),
    ("README.md", include_str!("template/README.md.txt")),
];

/// A mesh: a topology, two components, an input, and a test of all of it.
pub(super) const MESH: Template = &[
    ("Cargo.toml", include_str!("template/mesh/Cargo.toml.txt")),
    ("airssys.toml", include_str!("template/mesh/airssys.toml.txt")),
    ("visitors.jsonl", include_str!("template/mesh/visitors.jsonl.txt")),
    ("greeter/Cargo.toml", include_str!("template/mesh/greeter.Cargo.toml.txt")),
    ("greeter/Component.toml", include_str!("template/mesh/greeter.Component.toml.txt")),
    ("greeter/src/lib.rs", include_str!("template/mesh/greeter.rs.txt")),
    ("porter/Cargo.toml", include_str!("template/mesh/porter.Cargo.toml.txt")),
    ("porter/Component.toml", include_str!("template/mesh/porter.Component.toml.txt")),
    ("porter/src/lib.rs", include_str!("template/mesh/porter.rs.txt")),
    ("check/Cargo.toml", include_str!("template/mesh/check.Cargo.toml.txt")),
    ("check/src/lib.rs", include_str!("template/mesh/check.lib.rs.txt")),
    ("check/tests/mesh.rs", include_str!("template/mesh/check.mesh.rs.txt")),
    (".gitignore", include_str!("template/mesh/gitignore.txt")),
    ("README.md", include_str!("template/mesh/README.md.txt")),
];

/// A component in another language has its world beside it.
const WORLD: (&str, &str) = ("wit/world.wit", include_str!("template/world.wit.txt"));
/// The component alone, to be run as it is.
const TOPOLOGY: (&str, &str) = ("airssys.toml", include_str!("template/airssys.toml.txt"));
const COMPONENT: (&str, &str) = ("Component.toml", include_str!("template/Component.toml.txt"));
/// The same, with the memory that the engine of JavaScript needs.
const JAVASCRIPT_COMPONENT: (&str, &str) = ("Component.toml", include_str!("template/javascript/Component.toml.txt"));
/// What npm and the compilers leave, and how npm is to install the SDK.
const NPM: (&str, &str) = (".npmrc", include_str!("template/javascript/npmrc.txt"));
const NODE_IGNORED: (&str, &str) = (".gitignore", include_str!("template/javascript/gitignore.txt"));

/// One in Python.
pub(super) const PYTHON: Template = &[
    COMPONENT,
    WORLD,
    TOPOLOGY,
    ("app.py", include_str!("template/python/app.py.txt")),
    ("pyproject.toml", include_str!("template/python/pyproject.toml.txt")),
    (".gitignore", include_str!("template/python/gitignore.txt")),
    ("README.md", include_str!("template/python/README.md.txt")),
];

/// One in JavaScript.
pub(super) const JAVASCRIPT: Template = &[
    JAVASCRIPT_COMPONENT,
    WORLD,
    TOPOLOGY,
    NPM,
    NODE_IGNORED,
    ("package.json", include_str!("template/javascript/package.json.txt")),
    ("app.js", include_str!("template/javascript/app.js.txt")),
    ("app.test.js", include_str!("template/javascript/app.test.js.txt")),
    ("README.md", include_str!("template/javascript/README.md.txt")),
];

/// One in TypeScript.
pub(super) const TYPESCRIPT: Template = &[
    JAVASCRIPT_COMPONENT,
    WORLD,
    TOPOLOGY,
    NPM,
    NODE_IGNORED,
    ("package.json", include_str!("template/typescript/package.json.txt")),
    ("tsconfig.json", include_str!("template/typescript/tsconfig.json.txt")),
    ("app.ts", include_str!("template/typescript/app.ts.txt")),
    ("app.test.js", include_str!("template/typescript/app.test.js.txt")),
    ("README.md", include_str!("template/typescript/README.md.txt")),
];

/// One in C.
pub(super) const C: Template = &[
    COMPONENT,
    WORLD,
    TOPOLOGY,
    ("app.c", include_str!("template/c/app.c.txt")),
    (".gitignore", include_str!("template/c/gitignore.txt")),
    ("README.md", include_str!("template/c/README.md.txt")),
];
