//! What the host logs, kept for the tests of this process.

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LISTENS: OnceLock<()> = OnceLock::new();

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged from now on. Tests run side by side: they tell their lines apart by names of services that no
/// other test has.
///
/// # Panics
///
/// Somebody else listens already.
pub fn listen() {
    LISTENS.get_or_init(|| {
        let to = tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_writer(|| Kept);
        to.try_init().unwrap_or_else(|error| panic!("{error}"));
    });
}

/// The level and the fields of each line about a service, oldest first. `target` is where it was logged, such as
/// `airssys::audit`.
///
/// # Panics
///
/// A line is no JSON.
#[must_use]
pub fn of(target: &str, service: &str) -> Vec<(String, Value)> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let parsed = lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let about = parsed.filter(|line: &Value| line["target"] == target && line["fields"]["service"] == service);
    about.map(|line| (line["level"].as_str().unwrap_or_default().to_owned(), line["fields"].clone())).collect()
}
