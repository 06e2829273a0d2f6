//! What is written: lines that say who wrote them, as which one, and when.
//!
//! The content of a line is a pure function of its [`Tag`], so whoever finds a line somewhere can tell whether it is whole.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes of an access-log line, newline included: 1,000,000 lines are 222 MB.
pub(crate) const ACCESS_BYTES: usize = 222;

/// What a writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// nginx's combined format, [`ACCESS_BYTES`] long.
    Access,
    /// gunicorn's error log: a line, and most often a traceback below it.
    Traceback,
    /// An access line that ends in CR LF and holds bytes that are no UTF-8, control characters, quotes and backslashes.
    Odd,
}

/// What a line says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) shape: Shape,
    /// The writer's number.
    pub(crate) writer: u16,
    /// The line's number, from 0, without gaps.
    pub(crate) number: u64,
    /// When it was written, in microseconds since 1970.
    pub(crate) written_us: u64,
}

impl Tag {
    /// The line's stamp as milliseconds since 1970: these formats carry whole seconds.
    pub(crate) fn stamp_ms(&self) -> i64 {
        i64::try_from(self.written_us / 1_000_000 * 1000).unwrap()
    }
}

/// Renders lines; keeps the second's text, since most lines share it with the line before.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    second: u64,
    access: String,
    gunicorn: String,
    text: String,
}

impl Pen {
    /// Appends the line (for [`Shape::Traceback`], the lines) as it stands in the file.
    pub(crate) fn write(&mut self, tag: Tag, into: &mut Vec<u8>) {
        self.stamp(tag.written_us / 1_000_000);
        self.text.clear();
        let Tag {
            writer,
            number,
            written_us,
            ..
        } = tag;
        match tag.shape {
            Shape::Access | Shape::Odd => {
                let octet = number % 250;
                write!(
                    self.text,
                    "192.0.2.{octet} - - [{}] \"GET /w{writer:05}/{number:010}?at={written_us:016} HTTP/1.1\" 200 {} \
                     \"https://shop.example/cart\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
                    self.access,
                    1000 + number % 9000,
                )
                .unwrap();
                if tag.shape == Shape::Access {
                    while self.text.len() < ACCESS_BYTES - 2 {
                        self.text.push('.');
                    }
                    self.text.push('"');
                    into.extend_from_slice(self.text.as_bytes());
                } else {
                    into.extend_from_slice(self.text.as_bytes());
                    into.extend_from_slice(b"\" \\ \t \x01 \xff\xfe \xe2\x82 \xf0\x9f\x98\x80 ");
                    into.resize(into.len() + usize::try_from(number % 64).unwrap(), b'~');
                    into.push(b'\r');
                }
                into.push(b'\n');
            }
            Shape::Traceback => {
                writeln!(
                    self.text,
                    "[{}] [7] [ERROR] Error handling request /w{writer:05}/{number:010}?at={written_us:016}",
                    self.gunicorn
                )
                .unwrap();
                let frames = number % 6;
                if frames > 0 {
                    self.text.push_str("Traceback (most recent call last):\n");
                    for frame in 0..frames {
                        let line = 17 + number % 1000 + frame;
                        writeln!(
                            self.text,
                            "  File \"/srv/app/views.py\", line {line}, in step_{frame}\n    raise KeyError('{number}')"
                        )
                        .unwrap();
                    }
                    writeln!(self.text, "KeyError: '{number}'").unwrap();
                }
                into.extend_from_slice(self.text.as_bytes());
            }
        }
    }

    fn stamp(&mut self, second: u64) {
        if second == self.second && !self.access.is_empty() {
            return;
        }
        self.second = second;
        let time = jiff::Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        self.access = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        self.gunicorn = time.strftime("%Y-%m-%d %H:%M:%S +0000").to_string();
    }
}

/// The start pattern of [`Shape::Traceback`].
pub(crate) const TRACEBACK_START: &str = r"^\[\d{4}-";

/// What was found in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Exactly what a writer wrote.
    Whole(Tag),
    /// It bears a tag but is not what was written: cut, joined or changed.
    Garbled(Tag),
    /// No tag in it.
    Foreign,
}

/// Tells what an event's message is. Whatever can be compared is compared byte for byte.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pen: Pen,
    bytes: Vec<u8>,
}

impl Reader {
    pub(crate) fn read(&mut self, message: &str) -> Found {
        let Some(mut tag) = parse(message) else {
            return Found::Foreign;
        };
        if tag.shape == Shape::Access && message.len() != ACCESS_BYTES - 1 {
            tag.shape = Shape::Odd;
        }
        self.bytes.clear();
        self.pen.write(tag, &mut self.bytes);
        if at_rest(&self.bytes) == message {
            Found::Whole(tag)
        } else {
            Found::Garbled(tag)
        }
    }
}

/// A line of the file as it is to arrive: valid UTF-8, without its end.
fn at_rest(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))
}

fn parse(message: &str) -> Option<Tag> {
    let shape = if message.starts_with('[') {
        Shape::Traceback
    } else {
        Shape::Access
    };
    let at = message.find("/w")?;
    let rest = message.get(at + 2..)?;
    let field = |range: std::ops::Range<usize>| rest.get(range)?.parse::<u64>().ok();
    if rest.get(5..6)? != "/" || rest.get(16..20)? != "?at=" {
        return None;
    }
    Some(Tag {
        shape,
        writer: u16::try_from(field(0..5)?).ok()?,
        number: field(6..16)?,
        written_us: field(20..36)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(shape: Shape, number: u64) -> Tag {
        Tag {
            shape,
            writer: 7,
            number,
            written_us: 1_795_411_275_123_456,
        }
    }

    #[test]
    fn a_line_is_known_again_and_a_cut_one_is_not_taken_for_it() {
        for shape in [Shape::Access, Shape::Traceback, Shape::Odd] {
            for number in 0..300 {
                let mut line = Vec::new();
                Pen::default().write(tag(shape, number), &mut line);
                let message = at_rest(&line).into_owned();
                let mut reader = Reader::default();
                assert_eq!(reader.read(&message), Found::Whole(tag(shape, number)));
                let cut = &message[..message.len() - 1];
                assert!(!matches!(reader.read(cut), Found::Whole(_)), "{cut}");
            }
        }
    }

    #[test]
    fn an_access_line_has_the_length_that_figures_are_given_for() {
        let mut line = Vec::new();
        Pen::default().write(tag(Shape::Access, 999_999), &mut line);
        assert_eq!(line.len(), ACCESS_BYTES);
    }
}
