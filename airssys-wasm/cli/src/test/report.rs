//! A run as one page that needs nothing else: what did not hold, and how it came to that.

mod drawing;
mod step;

use std::fmt::Write;

use airssys_wasm::trial::Tried;

use self::drawing::{HEAD, draw};
use self::step::Step;
use super::markup::escaped;
use super::text::count;

/// The most steps that are drawn: the last ones, which are nearest to what did not hold.
const MOST: usize = 4_000;

const STYLE: &str = include_str!("report/style.css");
/// The heads of arrows.
const HEADS: &str = "<svg width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\
    <marker id=\"message\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8Z\"/></marker>\
    <marker id=\"answer\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"pale\" d=\"M0 0L8 4L0 8Z\"/></marker>\
    </defs></svg>";
const LEGEND: &str = "<p class=\"legend\"><span class=\"key done\"></span>a turn <span class=\"key error\"></span>one that ended with an error \
    <span class=\"key crash\"></span>one that crashed <span class=\"key again\"></span>started again <span class=\"x\">✕</span> a fault, an end or a dead letter. \
    Time goes down; each arrow is a message on its way to whoever handles it. Hold the pointer over anything to see all that is known of it.</p>";

/// The page of a run of a test file, which was shrunk in that way.
pub(super) fn page(name: &str, tried: &Tried, shrunk: Option<&str>, file: &str) -> String {
    let steps: Vec<Step<'_>> = tried.steps.iter().map(|line| Step::read(line)).collect();
    let left_out = steps.len().saturating_sub(MOST);
    let drawing = draw(steps.get(left_out..).unwrap_or_default());
    let name = escaped(name);
    let mut page = String::new();
    let mut say = |text: std::fmt::Arguments<'_>| {
        let _text_has_room = page.write_fmt(text);
        page.push('\n');
    };
    say(format_args!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}, seed {}</title>",
        tried.seed
    ));
    say(format_args!(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>"
    ));
    say(format_args!("{HEADS}<header><h1>{name}, seed {}</h1>", tried.seed));
    if tried.broken.is_empty() {
        say(format_args!("<p class=\"verdict holds\">All that has to hold does.</p>"));
    } else {
        say(format_args!("<p class=\"verdict fails\">It does not hold.</p>"));
    }
    for broken in &tried.broken {
        say(format_args!("{}", sides(broken)));
    }
    let faults: u64 = tried.faults.values().sum();
    let seconds = std::time::Duration::from_millis(tried.passed_ms);
    say(format_args!(
        "<p class=\"facts\">{}, {}, {} answered and {} not, in {} of virtual time. Digest <code>{}</code>.</p>",
        count(tried.turns, "turn"),
        count(faults, "fault"),
        tried.answered,
        tried.failed,
        escaped(&humantime::format_duration(seconds).to_string()),
        escaped(&tried.digest),
    ));
    if let Some(shrunk) = shrunk {
        say(format_args!("<p class=\"facts\">{}</p>", escaped(shrunk)));
    }
    say(format_args!(
        "</header><details><summary>The test file that runs it again</summary><pre>{}</pre></details>",
        escaped(file.trim_end())
    ));
    say(format_args!("{LEGEND}"));
    if left_out > 0 {
        say(format_args!("<p class=\"facts\">The first {left_out} steps are left out.</p>"));
    }
    let drawing::Drawing { width, names, picture } = drawing;
    say(format_args!(
        "<div class=\"run\" tabindex=\"0\"><svg class=\"names\" width=\"{width}\" height=\"{HEAD}\">{names}</svg>{picture}</div></body></html>"
    ));
    page
}

/// What did not hold, with the values on both sides where it has two.
fn sides(broken: &str) -> String {
    let step = broken.strip_prefix("invariant, ").and_then(|rest| rest.split_once("): "));
    let compared = step.map(|(_, found)| found).or_else(|| broken.strip_prefix("check: "));
    let compared = compared.and_then(|compared| {
        let (left, right) = compared.split_once(", and ")?;
        let (asked, found) = left.rsplit_once(" is ")?;
        let (other, theirs) = match right.strip_suffix(" was wanted") {
            Some(wanted) => ("wanted", wanted),
            None => right.rsplit_once(" is ")?,
        };
        Some([(asked, found), (other, theirs)])
    });
    let Some(sides) = compared else { return format!("<p class=\"broken\">{}</p>", escaped(broken)) };
    let side = |(asked, value): (&str, &str)| {
        format!("<div><span>{}</span><strong>{}</strong></div>", escaped(asked), escaped(value))
    };
    let when = step.map(|(step, _)| format!("<p class=\"broken\">{})</p>", escaped(step))).unwrap_or_default();
    format!("{when}<div class=\"sides\">{}<b>≠</b>{}</div>", side(sides[0]), side(sides[1]))
}

#[cfg(test)]
mod tests {
    use super::sides;

    #[test]
    fn both_sides_are_told_and_nothing_of_a_guest_is_markup() {
        let two = sides("check: till <sold> is 5, and ledger booked is 6");
        assert_eq!(
            two,
            "<div class=\"sides\"><div><span>till &lt;sold&gt;</span><strong>5</strong></div><b>≠</b><div><span>ledger booked</span><strong>6</strong></div></div>"
        );
        let step = sides("invariant, after message 4 at <till> (0.020000): till sold is 5, and ledger booked is 6");
        assert!(step.starts_with("<p class=\"broken\">after message 4 at &lt;till&gt; (0.020000)</p>"), "{step}");
        assert!(step.contains("<span>till sold</span><strong>5</strong>"), "{step}");
        assert!(sides("check: till sold is 5, and 7 was wanted").contains("<span>wanted</span><strong>7</strong>"));
        assert_eq!(sides("message 4 was <b>lost</b>"), "<p class=\"broken\">message 4 was &lt;b&gt;lost&lt;/b&gt;</p>");
    }
}
