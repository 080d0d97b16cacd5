//! What can be seen of the SDK for Python without a host: its own tests, in its own language.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod python {
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn the_sdk_is_as_its_own_tests_say() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../airssys-wasm/sdk/python");
        let mut tests = Command::new("python3");
        tests.args(["-B", "-m", "unittest", "discover", "-s", "tests"]).current_dir(&sdk).env("PYTHONPATH", ".");
        let ran = tests.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}
