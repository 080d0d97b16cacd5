//! A seed means the same run on each machine, until somebody changes what a run is.
//!
//! That it is the same in a release build is asserted where the rows of the benches are measured.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

#[path = "../airssys-wasm/benches/rows/fixed.rs"]
mod fixed;

use airssys_tests::code_cache;

/// How often the run is done where there is time, and where there is less.
const TIMES: [usize; 2] = [50, 6];

#[test]
fn a_seed_means_the_same_run_on_each_machine() {
    let (trial, _folder) = fixed::trial("", "");
    let tried = trial.run(fixed::SEED, Some(&code_cache()), true).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tried.broken, Vec::<String>::new());
    let steps = tried.steps.join("\n");
    // There is something in it that could be otherwise.
    for what in
        ["FAULT crash", "FAULT hang", "act deploy echo 1.1.0: live", "act restart", "the host is killed", "restarted"]
    {
        assert!(steps.contains(what), "{what}:\n{steps}");
    }
    assert_eq!(tried.digest, fixed::DIGEST, "it is another run now:\n{steps}");
}

#[test]
fn a_seed_means_the_same_run_however_often_and_whatever_compiles_it() {
    let [many, few] = TIMES;
    let times = if std::env::var_os("AIRSSYS_SOAK").is_some() { many } else { few };
    let ways = [
        ("", ""),
        ("", "compiler = \"baseline\""),
        // Live hosts would compile what is deployed twice: what a machine has compiled before is not to be seen.
        ("[settings]\nbaseline_from = \"1B\"", ""),
    ];
    let cache = code_cache();
    for (time, (of_topology, of_test)) in ways.into_iter().cycle().take(times).enumerate() {
        let (trial, _folder) = fixed::trial(of_topology, of_test);
        // Nothing is compiled there where it is known already.
        let cache = (time >= ways.len()).then_some(&*cache);
        let tried = trial.run(fixed::SEED, cache, false).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(tried.digest, fixed::DIGEST, "it was another run the {time}. time, with {of_topology}{of_test}");
    }
}

#[test]
fn the_compiler_is_the_one_that_is_named() {
    // The baseline compiler knows no tail calls.
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../airssys-wasm/doc/echo.wat")).unwrap();
    let (before, after) = ("(i32.const 0)))\n", "(return_call $zero))\n(func $zero (result i32) (i32.const 0)))\n");
    assert_eq!(text.matches(before).count(), 1, "{text}");
    let component = wat::parse_str(text.replace(before, after)).unwrap();
    let run = |of_test: &str| {
        let (trial, folder) = fixed::trial("", of_test);
        std::fs::write(folder.path().join("echo.wasm"), &component).unwrap();
        trial.run(fixed::SEED, None, false).map(|tried| tried.broken)
    };
    assert_eq!(run("compiler = \"optimized\"").unwrap(), Vec::<String>::new());
    assert!(run("compiler = \"baseline\"").unwrap_err().to_string().contains("tail call"));
}
