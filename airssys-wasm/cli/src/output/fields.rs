//! The fields of an event in the log on stderr: the service first, so that nothing a guest says stands before its name,
//! and each text as it may be shown.

use std::fmt::{self, Debug, Write};

use airssys_wasm::command::hidden;
use airssys_wasm::shown;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Writes fields as `service="shop" what was said other=1`.
#[derive(Debug)]
pub(super) struct ShownFields;

#[derive(Default)]
struct Found {
    service: String,
    message: String,
    others: String,
}

impl<'w> FormatFields<'w> for ShownFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut found = Found::default();
        fields.record(&mut found);
        let Found { service, message, others } = found;
        let parts = [service, message, others];
        for (at, part) in parts.iter().filter(|part| !part.is_empty()).enumerate() {
            if at > 0 {
                writer.write_char(' ')?;
            }
            writer.write_str(part)?;
        }
        Ok(())
    }
}

impl Found {
    fn set(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let (to, named) = match field.name() {
            "message" => (&mut self.message, false),
            "service" => (&mut self.service, true),
            _ => (&mut self.others, true),
        };
        if !to.is_empty() {
            to.push(' ');
        }
        // Writing to a string cannot fail.
        if named {
            let _ = write!(to, "{}=", field.name());
        }
        to.push_str(&shown(&hidden(&value.to_string())));
    }
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.set(field, format_args!("{value}")),
            _ => self.set(field, format_args!("{value:?}")),
        }
    }
}
