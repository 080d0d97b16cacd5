//! Judges a change to a mesh by rules in Rego: `rego-judge RULES`, with the proposal on its standard input, as
//! `airssys run --judge` starts it. A file of rules that begins with a line `#!/path/to/rego-judge` is a judge by
//! itself.
//!
//! What the rules have against the change is the set `deny` of the package `airssys`: of texts, or of objects with a
//! `message` and perhaps a `rule`. It is written as the JSON list that the host reads. A file in which something is
//! wrong, a set that is not there, or a rule that goes on for too long ends it with an exit code of 1, which refuses
//! the change.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

/// What is asked of the rules.
const DENY: &str = "data.airssys.deny";

/// How long they may take. The host waits for 8 s.
const TIME: Duration = Duration::from_secs(5);

/// How many steps go by between two looks at the time.
const LOOK: u32 = 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(rules), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: rego-judge RULES, with the proposal as JSON on the standard input".into());
    };
    let mut proposal = String::new();
    let _bytes = io::stdin().read_to_string(&mut proposal)?;
    let said = judge(Path::new(&rules), &proposal)?;
    Ok(writeln!(io::stdout(), "{said}")?)
}

/// What rules have against a proposal, as a JSON list.
fn judge(rules: &Path, proposal: &str) -> Result<String, Box<dyn Error>> {
    let mut engine = Engine::new();
    if let Some(check_interval) = LOOK.try_into().ok() {
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: TIME, check_interval });
    }
    // A rule that asks a function for nonsense is wrong. It does not quietly hold.
    engine.set_strict_builtin_errors(true);
    let package = engine.add_policy_from_file(rules)?;
    let told = |what: &str| format!("{}: {what}", rules.display());
    if package != "data.airssys" {
        return Err(told(&format!("its package is {package}, and has to be `airssys`")).into());
    }
    engine.set_input_json(proposal).map_err(|error| format!("the proposal is no JSON: {error}"))?;
    let deny = engine.eval_rule(DENY.to_owned()).map_err(|error| told(&error.to_string()))?;
    let Value::Set(denied) = &deny else {
        return Err(told("its `deny` is no set; begin with `deny contains message if {`").into());
    };
    Ok(Value::from(denied.iter().cloned().collect::<Vec<_>>()).to_json_str()?)
}
