//! Whether a wire holds, and whether two components can be fused, is what the component model itself says of them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;

use airssys_tests::made;
use airssys_tests::random::Random;
use airssys_tests::types::Ty;
use airssys_wasm::command::BrokenWire;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeError};
use wasm_encoder::{Alias, ComponentBuilder, ComponentExportKind};
use wasmparser::{Validator, WasmFeatures};

/// A function: its name, its parameters, and what it returns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Function {
    name: String,
    params: Vec<(String, Ty)>,
    result: Option<Ty>,
}

/// Some functions in an interface of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interface {
    version: &'static str,
    functions: Vec<Function>,
}

impl Interface {
    fn any(random: &mut Random) -> Self {
        let function = |random: &mut Random, number: u64| Function {
            name: format!("f{number}"),
            params: (0..random.below(4)).map(|number| (format!("p{number}"), Ty::any(random))).collect(),
            result: (random.below(4) > 0).then(|| Ty::any(random)),
        };
        let functions = (0..=random.below(3)).map(|number| function(random, number)).collect();
        Self { version: "1.0.0", functions }
    }

    /// What a later version of it may have become.
    fn changed(&self, random: &mut Random) -> Self {
        let mut other = self.clone();
        let at = random.below(other.functions.len() as u64) as usize;
        match random.below(9) {
            0 => {}
            1 => other.version = "1.2.0",
            2 => other.version = "2.0.0",
            3 => drop(other.functions.remove(at)),
            4 => other.functions.push(Function { name: "more".to_owned(), params: Vec::new(), result: None }),
            5 => other.functions[at].params.push(("more".to_owned(), Ty::Plain("u8"))),
            6 => match other.functions[at].params.first_mut() {
                Some((name, _)) => *name = "renamed".to_owned(),
                None => other.functions[at].name = "renamed".to_owned(),
            },
            7 => match other.functions[at].params.first_mut() {
                Some((_, ty)) => *ty = ty.changed(random),
                None => other.functions[at].name = "renamed".to_owned(),
            },
            _ => other.functions[at].result = other.functions[at].result.as_ref().map(|ty| ty.changed(random)),
        }
        other
    }

    fn wit(&self, world: &str) -> String {
        let mut declared = Vec::new();
        let mut functions = String::new();
        for Function { name, params, result } in &self.functions {
            let params: Vec<String> =
                params.iter().map(|(name, ty)| format!("{name}: {}", ty.written(&mut declared))).collect();
            let result = result.as_ref().map(|ty| format!(" -> {}", ty.written(&mut declared))).unwrap_or_default();
            functions = format!("{functions} {name}: func({}){result};", params.join(", "));
        }
        let types = declared.join("\n");
        format!(
            "package a:b@{}; interface i {{ {types}\n{functions} }} world it {{ {world} export go: func(); }}",
            self.version
        )
    }

    fn name(&self) -> String {
        format!("a:b/i@{}", self.version)
    }
}

/// What the component model says of an import that is satisfied by an export.
fn holds(importer: &[u8], import: &str, exporter: &[u8], export: &str) -> bool {
    let mut outer = ComponentBuilder::default();
    let (exporter, importer) = (outer.component_raw(None, exporter), outer.component_raw(None, importer));
    let instance = outer.instantiate(None, exporter, Vec::<(&str, ComponentExportKind, u32)>::new());
    let alias = Alias::InstanceExport { instance, kind: ComponentExportKind::Instance, name: export };
    let alias = outer.alias(None, alias);
    let _whole = outer.instantiate(None, importer, [(import, ComponentExportKind::Instance, alias)]);
    Validator::new_with_features(WasmFeatures::all()).validate_all(&outer.finish()).is_ok()
}

fn rounds() -> usize {
    std::env::var("AIRSSYS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[tokio::test]
async fn a_wire_holds_where_the_component_model_would_link_the_two() {
    let mut random = Random::told();
    let (mut held, mut broke) = (0, 0);
    for _ in 0..rounds() {
        let wanted = Interface::any(&mut random);
        let found = wanted.changed(&mut random);
        let importer = made::dummy(&wanted.wit("import i;"));
        let exporter = made::dummy(&found.wit("export i;"));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("importer.wasm"), &importer).unwrap();
        fs::write(folder.path().join("exporter.wasm"), &exporter).unwrap();
        let linked = holds(&importer, &wanted.name(), &exporter, &found.name());
        // Of versions the component model says nothing here: that is semantic versioning.
        let expected = linked && found.version != "2.0.0";
        let topology = "name = \"m\"\n[[service]]\nname = \"exporter\"\nrelease = \"exporter.wasm\"\n\
            [[service]]\nname = \"importer\"\nrelease = \"importer.wasm\"\nwires = { \"a:b/i\" = \"exporter\" }\n";
        let topology = Topology::parse(topology, folder.path()).unwrap();
        let wired = match Runtime::builder().check(&topology).await {
            Ok(_) => true,
            Err(RuntimeError::Wire(BrokenWire::NoFunction { .. } | BrokenWire::OtherType { .. })) => false,
            Err(other) => panic!("{other}: {wanted:?} {found:?}"),
        };
        assert_eq!(wired, expected, "a wire\n{wanted:?}\n{found:?}");
        let toml = "name = \"importer\"\nversion = \"1.0.0\"\n[fuse]\n\"a:b/i\" = \"exporter.wasm\"\n";
        fs::write(folder.path().join("importer.toml"), toml).unwrap();
        let fused = Release::find(&folder.path().join("importer.wasm"));
        assert_eq!(fused.is_ok(), expected, "fused: {:?}\n{wanted:?}\n{found:?}", fused.err());
        if expected { held += 1 } else { broke += 1 }
    }
    assert!(held > 0 && broke > 0, "{held} held, {broke} broke");
}
