//! Rows `swap/erlang` and `swap/erlang/waiting`: what OTP's suspend, code_change and resume take for a server that is
//! idle, and for one with ten thousand messages waiting. Told where Erlang is installed, beside ours; another machine's
//! figures would say nothing.

use std::path::Path;
use std::process::Command;

use crate::measure::median;
use crate::report::Row;

pub(crate) fn rows() -> Vec<Row> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rows/erlang/swap.escript");
    let ran = match Command::new("escript").arg(&script).output() {
        Ok(ran) => ran,
        Err(error) => {
            eprintln!("no rows of Erlang, which is not installed ({error})");
            return Vec::new();
        }
    };
    assert!(ran.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8_lossy(&ran.stdout);
    let figures = |kind: &str| -> Vec<f64> {
        let of_kind = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        of_kind.map(|nanos| nanos.parse().expect("nanoseconds")).collect()
    };
    vec![
        Row::told("swap/erlang", "ns p50", vec![median(&figures("idle"))]),
        Row::told("swap/erlang/waiting", "ns p50", vec![median(&figures("waiting"))]),
    ]
}
