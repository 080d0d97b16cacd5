//! Running programs with progress shown: a spinner with the program's last line on a terminal, plain lines elsewhere.
//!
//! Invariant: where the spinner hid what a program printed, a failure tells all of it.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;

/// How often a program with a time limit is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The steps of a command, each named with its number: `[2/9] lints`.
pub(crate) struct Steps {
    begun: usize,
    all: usize,
}

impl Steps {
    /// So many steps, none of which has begun.
    pub(crate) fn of(all: usize) -> Self {
        Self { begun: 0, all }
    }

    /// The name of the next step, with its number.
    pub(crate) fn next(&mut self, name: &str) -> String {
        self.begun += 1;
        format!("[{}/{}] {name}", self.begun, self.all)
    }
}

/// A line for the person, on stderr. That nobody reads it is no failure.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs a program to its end, for at most `limit`.
pub(crate) fn run(label: &str, command: &mut Command, limit: Option<Duration>) -> Result<(), Error> {
    let program = named(command);
    command.stdin(Stdio::null());
    let shown = std::io::stderr().is_terminal().then(|| spinner(label));
    if shown.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    } else {
        line(label);
    }
    let mut child = command.spawn().map_err(|source| Error::NotRun { program: program.clone(), source })?;
    let heard = Arc::new(Mutex::new(String::new()));
    let listeners = shown.as_ref().map(|bar| listen(&mut child, bar, &heard)).unwrap_or_default();
    let ended = wait(&mut child, &program, limit);
    for listener in listeners {
        // A listener that panicked has nothing more to tell.
        let _ = listener.join();
    }
    if let Some(bar) = shown {
        bar.finish_and_clear();
        let mark = if matches!(&ended, Ok(status) if status.success()) { "done" } else { "failed" };
        line(&format!("{label}: {mark} in {:.1} s", bar.elapsed().as_secs_f64()));
    }
    let status = ended?;
    if status.success() {
        return Ok(());
    }
    let output = heard.lock().unwrap_or_else(PoisonError::into_inner).trim_end().to_owned();
    Err(Error::Failed { program, status, output })
}

fn named(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn wait(child: &mut Child, program: &str, limit: Option<Duration>) -> Result<ExitStatus, Error> {
    let not_run = |source| Error::NotRun { program: program.to_owned(), source };
    let Some(limit) = limit else {
        return child.wait().map_err(not_run);
    };
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(not_run)? {
            return Ok(status);
        }
        if begun.elapsed() > limit {
            child.kill().map_err(not_run)?;
            child.wait().map_err(not_run)?;
            return Err(Error::TooSlow { program: program.to_owned(), limit });
        }
        std::thread::sleep(LOOK);
    }
}

fn spinner(label: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}") {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn listen(child: &mut Child, bar: &ProgressBar, heard: &Arc<Mutex<String>>) -> Vec<JoinHandle<()>> {
    let out = child.stdout.take().map(|pipe| listener(pipe, bar, heard));
    let err = child.stderr.take().map(|pipe| listener(pipe, bar, heard));
    out.into_iter().chain(err).collect()
}

fn listener(pipe: impl Read + Send + 'static, bar: &ProgressBar, heard: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let (bar, heard) = (bar.clone(), Arc::clone(heard));
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&bytes);
            bar.set_message(text.trim().to_owned());
            heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            bytes.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_which_of_how_many_it_is() {
        let mut steps = Steps::of(2);
        assert_eq!([steps.next("one"), steps.next("two")], ["[1/2] one", "[2/2] two"]);
    }

    #[test]
    fn a_program_that_is_too_slow_is_ended() {
        let begun = Instant::now();
        let ended = run("sleep", Command::new("sleep").arg("60"), Some(Duration::from_millis(100)));
        assert!(matches!(ended, Err(Error::TooSlow { .. })));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_is_named() {
        assert!(run("true", &mut Command::new("true"), None).is_ok());
        assert!(
            matches!(run("false", &mut Command::new("false"), None), Err(Error::Failed { program, .. }) if program == "false")
        );
        assert!(matches!(run("none", &mut Command::new("no-such-program"), None), Err(Error::NotRun { .. })));
    }
}
