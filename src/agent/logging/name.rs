//! The agent's name in each of its lines: several agents may log to one place.
//!
//! In text it stands behind the time, in JSON it is the field `agent`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Unknown until the configuration or the identity has told it.
#[derive(Clone, Default)]
pub(super) struct Name(Arc<OnceLock<String>>);

impl Name {
    /// The first one that is given stays.
    pub(super) fn give(&self, name: &str) {
        let _ = self.0.set(name.to_owned());
    }

    /// A space and the name, or nothing.
    pub(super) fn in_text(&self) -> String {
        self.0
            .get()
            .map_or_else(String::new, |name| format!(" {name}"))
    }

    /// `line` is a JSON object.
    pub(super) fn in_json(&self, line: &str) -> String {
        match (self.0.get(), line.strip_prefix('{')) {
            (Some(name), Some(rest)) => {
                format!("{{\"agent\":{},{rest}", serde_json::Value::from(&**name))
            }
            _ => line.to_owned(),
        }
    }
}

/// Time and name of a line of text.
pub(super) struct Stamp(pub(super) Name);

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(writer)?;
        writer.write_str(&self.0.in_text())
    }
}

/// A line of JSON with the name in it.
pub(super) struct NamedJson {
    pub(super) json: Format<Json>,
    pub(super) name: Name,
}

impl<S, N> FormatEvent<S, N> for NamedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.json.format_event(ctx, Writer::new(&mut line), event)?;
        writer.write_str(&self.name.in_json(&line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_text_and_json_once_it_is_given() {
        let name = Name::default();
        assert_eq!(name.in_text(), "");
        assert_eq!(
            name.in_json("{\"level\":\"INFO\"}\n"),
            "{\"level\":\"INFO\"}\n"
        );
        name.give("Exit \"A\"");
        name.give("another");
        assert_eq!(name.in_text(), " Exit \"A\"");
        assert_eq!(
            name.in_json("{\"level\":\"INFO\"}\n"),
            "{\"agent\":\"Exit \\\"A\\\"\",\"level\":\"INFO\"}\n"
        );
    }
}
