//! JSON (RFC 8259) with the place of everything in it, so that what is wrong can be shown where it stands.

use std::fmt;
use std::ops::Range;

/// Deeper than this nothing is read: no configuration is, and a stack ends.
const MAX_DEPTH: usize = 128;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order in which they are written.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its name stands.
    pub(super) span: Range<usize>,
    pub(super) node: Node,
}

impl Value {
    /// A person's word for its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// As JSON, in one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::List(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(|node| node.value.to_string()).collect();
                write!(f, "[{}]", nodes.join(", "))
            }
            Self::Object(members) => {
                let one = |it: &Member| {
                    let name = serde_json::Value::from(it.name.as_str());
                    format!("{name}: {}", it.node.value)
                };
                let members: Vec<String> = members.iter().map(one).collect();
                write!(f, "{{{}}}", members.join(", "))
            }
        }
    }
}

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) span: Range<usize>,
    /// What is wrong there.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<&'static str>,
}

/// Reads a text.
///
/// # Errors
/// The first thing in it that is no JSON.
pub(super) fn parse(text: &str) -> Result<Node, Slip> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.space();
    match reader.at == text.len() {
        true => Ok(node),
        false => Err(reader.slip("something follows the end", None)),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn space(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.rest().iter().take_while(blank).count();
    }

    /// At the character that comes next, or at the end.
    fn slip(&self, message: &str, help: Option<&'static str>) -> Slip {
        let length = self.text[self.at..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        Slip {
            span: self.at..self.at + length,
            message: message.to_owned(),
            help,
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<Node, Slip> {
        self.space();
        if depth > MAX_DEPTH {
            return Err(self.slip("this is nested too deeply", None));
        }
        let start = self.at;
        let value = match self.peek() {
            None => return Err(self.slip("the text ends where a value should be", Some(CUT_OFF))),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
        };
        Ok(Node {
            span: start..self.at,
            value,
        })
    }

    fn word(&mut self) -> Result<Value, Slip> {
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(match self.peek() {
            Some(b'/' | b'#') => self.slip("JSON has no comments", Some("remove it")),
            Some(b'\'') => self.slip("a string begins with \"", Some("write \" for '")),
            Some(b'}' | b']' | b',') => self.slip(
                "a value is missing here",
                Some("remove the comma before it, or write the value"),
            ),
            _ => self.slip("this is no value", Some("strings stand in quotes: \"…\"")),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value, Slip> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(match self.peek() {
                    None => self.slip("the text ends within an object", Some(CUT_OFF)),
                    Some(b'}') => self.slip(
                        "a member is missing here",
                        Some("remove the comma before it"),
                    ),
                    Some(b'/' | b'#') => self.slip("JSON has no comments", Some("remove it")),
                    Some(_) => self.slip(
                        "the name of a member should be here",
                        Some("names stand in quotes: \"…\""),
                    ),
                });
            }
            let name = self.string()?;
            let span = start..self.at;
            if members.iter().any(|member| member.name == name) {
                return Err(Slip {
                    span,
                    message: format!("{name:?} is there twice: one of the two would be ignored"),
                    help: Some("remove one of them, or merge what they hold"),
                });
            }
            self.space();
            if !self.take(b':') {
                return Err(self.slip("a colon should be here", Some("write \"name\": value")));
            }
            let node = self.value(depth + 1)?;
            members.push(Member { name, span, node });
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(match self.peek() {
                    None => self.slip("the text ends within an object", Some(CUT_OFF)),
                    Some(_) => self.slip("a comma or } should be here", None),
                });
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Slip> {
        self.at += 1;
        let mut nodes = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::List(nodes));
        }
        loop {
            nodes.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::List(nodes));
            }
            if !self.take(b',') {
                return Err(match self.peek() {
                    None => self.slip("the text ends within a list", Some(CUT_OFF)),
                    Some(_) => self.slip("a comma or ] should be here", None),
                });
            }
        }
    }

    fn number(&mut self) -> Result<Value, Slip> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let count = reader
                .rest()
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            reader.at += count;
            count
        };
        let wrong = |reader: &Self| {
            Err(reader.slip(
                "this is no number",
                Some("numbers are written like 60 or 0.5, without a 0 or a + in front"),
            ))
        };
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        match digits(self) {
            0 => return wrong(self),
            count if leading_zero && count > 1 => {
                self.at = start;
                return wrong(self);
            }
            _ => {}
        }
        if self.take(b'.') && digits(self) == 0 {
            return wrong(self);
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if digits(self) == 0 {
                return wrong(self);
            }
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<String, Slip> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let length = self.rest().iter().take_while(plain).count();
            text.push_str(&self.text[self.at..self.at + length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    return Err(self.slip(
                        "a line end or control character within a string",
                        Some(
                            "write \\n for a line end, \\t for a tab, or close the string with \"",
                        ),
                    ));
                }
                None => {
                    return Err(Slip {
                        span: start..start + 1,
                        message: "this string is never closed".into(),
                        help: Some("write \" at its end"),
                    });
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Slip> {
        let unknown = Some(
            "after \\ stands one of \" \\ / b f n r t, or u and four digits; write \\\\ for a backslash",
        );
        let at = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(at),
            _ => {
                self.at = at;
                return Err(self.slip("there is no such escape", unknown));
            }
        };
        self.at += 1;
        Ok(character)
    }

    /// `\uXXXX`, or two of them for what is beyond the first plane.
    fn unicode(&mut self, at: usize) -> Result<char, Slip> {
        let wrong = |end: usize| Slip {
            span: at..end,
            message: "this is no character".into(),
            help: Some("write the character itself: JSON is UTF-8"),
        };
        let first = self.four_digits().ok_or_else(|| wrong(at + 2))?;
        let code = match first {
            0xd800..=0xdbff => {
                let second = match self.rest().starts_with(b"\\u") {
                    true => {
                        self.at += 1;
                        self.four_digits()
                    }
                    false => None,
                };
                let low = second.filter(|low| (0xdc00..=0xdfff).contains(low));
                let low = low.ok_or_else(|| wrong(at + 6))?;
                0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| wrong(at + 6))
    }

    /// The four digits behind the `u` that comes next.
    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(1..5)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let code = u32::from_str_radix(digits, 16).ok()?;
        self.at += 5;
        Some(code)
    }
}

const CUT_OFF: &str = "the file may have been cut off";

#[cfg(test)]
mod tests;
