//! A plain program, which knows nothing of a host of services. The first line of its stdin says what it is to do with
//! the rest; without one of the words below, it writes the rest in capitals to its stdout.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs over which this memory has seen.
static RUNS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        eprintln!("stdin: {error}");
        return ExitCode::FAILURE;
    }
    let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    let (order, rest) = text.split_once('\n').unwrap_or(("", &text));
    let (word, of) = order.split_once(' ').unwrap_or((order, ""));
    match word {
        "runs" => print!("{runs}"),
        "fail" => {
            println!("half of an answer");
            eprintln!("a line before\n{of}");
            return ExitCode::FAILURE;
        }
        "exit" => std::process::exit(of.parse().unwrap_or(0)),
        "panic" => std::process::abort(),
        "arguments" => print!("{}", std::env::args().collect::<Vec<_>>().join("|")),
        "variable" => print!("{}", std::env::var(of).unwrap_or_else(|_| "none".to_owned())),
        "read" => match std::fs::read_to_string(of) {
            Ok(text) => print!("{text}"),
            Err(error) => {
                eprintln!("{of}: {error}");
                return ExitCode::FAILURE;
            }
        },
        "write" => {
            if let Err(error) = std::fs::write(of, rest) {
                eprintln!("{of}: {error}");
                return ExitCode::FAILURE;
            }
        }
        "many" => {
            let block = [b'x'; 4096];
            for _ in 0..of.parse().unwrap_or(0) {
                if let Err(error) = std::io::stdout().write_all(&block) {
                    eprintln!("stdout: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        "compute" => loop {
            std::hint::black_box(of);
        },
        "wait" => std::thread::sleep(std::time::Duration::from_secs(of.parse().unwrap_or(0))),
        "memory" => {
            let bytes = vec![1_u8; of.parse().unwrap_or(0)];
            print!("{}", std::hint::black_box(bytes).len());
        }
        "bytes" => print!("{}", rest.len()),
        _ => print!("{}", text.to_uppercase()),
    }
    ExitCode::SUCCESS
}
