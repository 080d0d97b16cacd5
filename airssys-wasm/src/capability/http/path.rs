//! Paths of requests: segments, spelled in one way, and patterns of them.

use std::fmt;

/// A path in one spelling: what need not be escaped is not, and what has to be is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    text: Box<str>,
    /// Whether it has a slash in it that is escaped: for some it is one segment, for others it is several.
    has_slash: bool,
}

impl Path {
    /// None where it is not plain where it leads: it has an empty segment before its last one, or `.` or `..`, however
    /// often that is escaped.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut segments: Vec<Segment> =
            text.strip_prefix('/')?.split('/').map(Segment::parse).collect::<Option<_>>()?;
        let last = segments.pop()?;
        if segments.iter().any(|segment| segment.text.is_empty()) {
            return None;
        }
        segments.push(last);
        Some(Self(segments))
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let (spelled, has_slash) = (spelled(text)?, is_plain(&unescaped(text)?)?);
        Some(Self { text: spelled.into(), has_slash })
    }
}

/// What a server sees that unescapes a segment, also what is unescaped already; none where that goes on and on.
fn unescaped(segment: &str) -> Option<Vec<u8>> {
    let mut plain = segment.as_bytes().to_vec();
    for _ in 0..4 {
        let next: Vec<u8> = bytes(&plain).map(|(byte, _)| byte).collect();
        if next == plain {
            return Some(plain);
        }
        plain = next;
    }
    None
}

/// Whether a segment without escapes has slashes in it; none where it would lead to another place. A backslash is a
/// slash for some, and what begins with a semicolon is no part of a name for others.
fn is_plain(segment: &[u8]) -> Option<bool> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    if segment.iter().any(u8::is_ascii_control) {
        return None;
    }
    for part in segment.split(is_slash) {
        let name = part.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") {
            return None;
        }
    }
    Some(segment.iter().any(is_slash))
}

/// How a byte of a segment is written.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    AsItIs,
    Escaped,
    /// A per cent sign that escapes nothing.
    Stray,
}

/// Each byte of a segment.
fn bytes(text: &[u8]) -> impl Iterator<Item = (u8, Spelling)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let escaped = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
        Some(match escaped {
            Some((high, low)) => (high << 4 | low, Spelling::Escaped),
            None => (*first, if *first == b'%' { Spelling::Stray } else { Spelling::AsItIs }),
        })
    })
}

/// The one spelling: escaped is what was, unless it is a letter, a digit or one of `-._~`, and what is not ASCII. None
/// where an escape is none.
fn spelled(text: &str) -> Option<String> {
    let mut spelled = String::with_capacity(text.len());
    for (byte, spelling) in bytes(text.as_bytes()) {
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match spelling {
            Spelling::Stray => return None,
            Spelling::AsItIs if byte.is_ascii_graphic() => spelled.push(char::from(byte)),
            _ if is_unreserved => spelled.push(char::from(byte)),
            _ => spelled.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(spelled)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", segment.text))
    }
}

/// Paths, by their segments. `*` is one that is not empty, a last `**` is whatever follows its slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPattern {
    segments: Vec<Wanted>,
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Any,
    Exactly(Segment),
}

impl Wanted {
    fn matches(&self, segment: &Segment) -> bool {
        match self {
            Self::Any => !segment.text.is_empty() && !segment.has_slash,
            Self::Exactly(exactly) => exactly == segment,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Any => *self == Self::Any,
            Self::Exactly(segment) => self.matches(segment),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains(['?', '#']) {
            return Err("what follows the path cannot be granted; leave it out, a request may have any query");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the path is not ASCII; escape what is not, as %C3%A4");
        }
        let (text, is_open) = match text.strip_suffix("/**") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut segments = Vec::new();
        // Nothing is before the first slash; where all is open, nothing is after it.
        for segment in text.split('/').skip(1) {
            segments.push(match segment {
                "*" => Wanted::Any,
                segment if segment.contains('*') => {
                    return Err("'*' is a whole segment of the path, and '**' the last one");
                }
                segment => Wanted::Exactly(Segment::parse(segment).ok_or("a segment of the path is not plain")?),
            });
        }
        let empty = |wanted: &Wanted| matches!(wanted, Wanted::Exactly(segment) if segment.text.is_empty());
        let may_be_empty = usize::from(!is_open);
        if segments.iter().rev().skip(may_be_empty).any(empty) {
            return Err("the path has an empty segment");
        }
        Ok(Self { segments, is_open })
    }

    pub(super) fn matches(&self, Path(path): &Path) -> bool {
        let is_long = if self.is_open { path.len() > self.segments.len() } else { path.len() == self.segments.len() };
        is_long && self.segments.iter().zip(path).all(|(wanted, segment)| wanted.matches(segment))
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_long = match (self.is_open, other.is_open) {
            (false, true) => false,
            (false, false) => other.segments.len() == self.segments.len(),
            (true, _) => other.least() > self.segments.len(),
        };
        is_long && self.segments.iter().zip(&other.segments).all(|(one, other)| one.covers(other))
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let is_long = match (self.is_open, other.is_open) {
            (false, false) => other.segments.len() == self.segments.len(),
            (true, false) => other.segments.len() > self.segments.len(),
            (false, true) => self.segments.len() > other.segments.len(),
            (true, true) => true,
        };
        is_long && self.segments.iter().zip(&other.segments).all(|(one, other)| one.overlaps(other))
    }

    /// How many segments a path has at least that it matches.
    fn least(&self) -> usize {
        self.segments.len() + usize::from(self.is_open)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for wanted in &self.segments {
            match wanted {
                Wanted::Any => f.write_str("/*")?,
                Wanted::Exactly(segment) => write!(f, "/{}", segment.text)?,
            }
        }
        if self.is_open { f.write_str("/**") } else { Ok(()) }
    }
}
