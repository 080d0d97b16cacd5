//! What can be seen of the SDK for Python without a host: its own tests, in its own language.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod python {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use airssys_tests::tools::tool;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
    }

    fn run(command: &mut Command) {
        let ran = command.output().unwrap();
        assert!(
            ran.status.success(),
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }

    #[test]
    fn the_sdk_is_as_its_own_tests_say() {
        let sdk = root().join("airssys-wasm/sdk/python");
        run(Command::new("python3")
            .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
            .current_dir(&sdk)
            .env("PYTHONPATH", "."));
    }

    /// All that the contract has.
    const WORLD: &str = "package airssys:program;\nworld program {\n  include airssys:actor/actor@0.1.0;\n  \
                         include airssys:actor/with-lifecycle@0.1.0;\n  include airssys:actor/with-health@0.1.0;\n  \
                         include airssys:actor/with-upgrade@0.1.0;\n  include airssys:actor/with-supervision@0.1.0;\n  \
                         include airssys:actor/with-monitoring@0.1.0;\n}\n";

    #[test]
    fn the_sdk_and_who_uses_it_agree_on_the_types_of_what_is_generated() {
        let bin = tool("python", "bin/mypy").join("bin");
        let folder = tempfile::tempdir().unwrap();
        let wit = folder.path().join("wit");
        std::fs::create_dir(&wit).unwrap();
        std::fs::write(wit.join("program.wit"), WORLD).unwrap();
        let generated = folder.path().join("generated");
        let mut bindings = Command::new(bin.join("componentize-py"));
        bindings.arg("--quiet").arg("-d").arg(root().join("wit")).arg("-d").arg(&wit);
        run(bindings.args(["-w", "airssys:program/program", "bindings"]).arg(&generated));
        let sdk = root().join("airssys-wasm/sdk/python");
        let paths = std::env::join_paths([generated, sdk.clone()]).unwrap();
        let mut mypy = Command::new(bin.join("mypy"));
        mypy.env("MYPYPATH", paths).args(["--strict", "--cache-dir"]).arg(folder.path().join("cache"));
        mypy.arg(sdk.join("airssys")).arg(sdk.join("tests/test_sdk.py"));
        let programs = ["tests/book/counter.py", "tests/guests-python/conformance/app.py"];
        run(mypy.args(programs.map(|program| root().join(program))));
    }
}
