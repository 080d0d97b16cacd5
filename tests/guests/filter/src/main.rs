//! A plain program, which knows nothing of a host of services. The first line of its stdin says what it is to do with
//! the rest; without one of the words below, it writes the rest in capitals to its stdout.

use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

/// What this release is: a name, and a way to misbehave, padded with dots.
static VARIANT: [u8; 40] = *b"variant=one,healthy.....................";
/// Runs that this memory has seen.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// Opens a file once and reads up to 4 KiB of its beginning so many times: `TIMES PATH`. How many bytes that were.
fn reread(of: &str) -> std::io::Result<usize> {
    let (times, path) = of.split_once(' ').unwrap_or(("1", of));
    let (mut file, mut block, mut bytes) = (std::fs::File::open(path)?, [0; 4096], 0);
    for _ in 0..times.parse().unwrap_or(1) {
        file.seek(SeekFrom::Start(0))?;
        bytes += file.read(&mut block)?;
    }
    Ok(bytes)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "serve") {
        return serve(&arguments[2..]);
    }
    if variant(1) == "crashing" {
        std::process::abort();
    }
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
        "release" => print!("{}", variant(0)),
        "arguments" => print!("{}", std::env::args().collect::<Vec<_>>().join("|")),
        "variable" => print!("{}", std::env::var(of).unwrap_or_else(|_| "none".to_owned())),
        "read" => match std::fs::read_to_string(of) {
            Ok(text) => print!("{text}"),
            Err(error) => {
                eprintln!("{of}: {error}");
                return ExitCode::FAILURE;
            }
        },
        "reread" => match reread(of) {
            Ok(bytes) => print!("{bytes}"),
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

fn variant(part: usize) -> String {
    let text = String::from_utf8_lossy(std::hint::black_box(&VARIANT).as_slice()).into_owned();
    let text = text.trim_start_matches("variant=").trim_end_matches('.');
    text.split(',').nth(part).unwrap_or_default().to_owned()
}

/// Runs for as long as its arguments say: until it exits with a status, for ever while it computes, or for ever while
/// it waits and tells of it.
fn serve(how: &[String]) -> ExitCode {
    println!("serving {}", variant(0));
    match how.first().map(String::as_str) {
        Some("exit") => ExitCode::from(how.get(1).and_then(|status| status.parse().ok()).unwrap_or(0)),
        Some("compute") => loop {
            std::hint::black_box(how);
        },
        _ => loop {
            println!("{} is there", variant(0));
            std::thread::sleep(std::time::Duration::from_millis(1));
        },
    }
}
