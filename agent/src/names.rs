//! Placeholders in the names of groups and streams.
//!
//! | placeholder | becomes |
//! | --- | --- |
//! | `{instance_id}` | the instance's id; off EC2 what the configuration says, else an id made of the machine's |
//! | `{hostname}` | the host's name |
//! | `{ip}` | its private IPv4 address |
//! | `{asg}` | the name of its Auto Scaling group |
//! | `{tag:NAME}` | one of its tags |
//! | `{file}` | the file's whole path without the leading `/`, so that no two files share a stream unless that is wanted |
//!
//! `{asg|none}` gives what to write where there is no such thing; `{{` and `}}` are braces.
//!
//! What a path may hold and a name may not is written as its UTF-8 bytes in hexadecimal, after `%` in a stream's name and after
//! `#` in a group's, and so is that character itself: different paths stay different names. A tag with such a character is an error instead:
//! nobody would find the name again.
//!
//! Limits: CreateLogGroup and CreateLogStream, API reference.

use std::fmt;
use std::fmt::Write;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::host::Host;

/// A group's or stream's name has at most so many characters.
const MAX_CHARACTERS: usize = 512;
/// No group's name may begin so.
const RESERVED_PREFIX: &str = "aws/";

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log group: letters, digits and `_ - / . #`.
    Group,
    /// A log stream: anything but `:` and `*`.
    Stream,
}

impl Kind {
    fn allows(self, character: char) -> bool {
        match self {
            Kind::Group => {
                character.is_ascii_alphanumeric()
                    || matches!(character, '_' | '-' | '/' | '.' | '#')
            }
            Kind::Stream => !matches!(character, ':' | '*') && !character.is_control(),
        }
    }

    /// Stands before the hexadecimal form of what is not allowed.
    fn escape(self) -> char {
        match self {
            Kind::Group => '#',
            Kind::Stream => '%',
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Kind::Group => "a group's name takes letters, digits and _ - / . # only",
            Kind::Stream => "a stream's name takes no : and no *, and no control characters",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Group => "group",
            Kind::Stream => "stream",
        })
    }
}

/// A template that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}; {help}")]
pub struct TemplateError {
    /// Where, in characters from 1.
    pub column: usize,
    /// Where, in bytes of the template.
    pub span: Range<usize>,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// A template that gives no name on this host or for this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Something it names is not there.
    #[error(
        "{kind} \"{template}\": no {{{placeholder}}} here: {why}; write {{{placeholder}|something}} to have a name without it"
    )]
    Missing {
        /// Group or stream.
        kind: Kind,
        /// The template.
        template: String,
        /// What is missing, without braces.
        placeholder: String,
        /// Why it is.
        why: String,
    },
    /// The name has a character that AWS does not take.
    #[error("{kind} \"{template}\": {name:?} has {character:?} at character {column}, from {{{placeholder}}}: {}", kind.allowed())]
    Character {
        /// Group or stream.
        kind: Kind,
        /// The template.
        template: String,
        /// What it became up to that placeholder's value.
        name: String,
        /// The character.
        character: char,
        /// Where it is in the name, from 1.
        column: usize,
        /// Where it came from.
        placeholder: String,
    },
    /// The name is too long, empty, or reserved.
    #[error("{kind} \"{template}\" becomes {name:?}, which {why}")]
    Name {
        /// Group or stream.
        kind: Kind,
        /// The template.
        template: String,
        /// What it became.
        name: String,
        /// Which rule it breaks.
        why: String,
    },
}

/// A name with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    kind: Kind,
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value { what: What, or: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    InstanceId,
    Hostname,
    Ip,
    Asg,
    Tag(String),
    File,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::InstanceId => f.write_str("instance_id"),
            What::Hostname => f.write_str("hostname"),
            What::Ip => f.write_str("ip"),
            What::Asg => f.write_str("asg"),
            What::Tag(name) => write!(f, "tag:{name}"),
            What::File => f.write_str("file"),
        }
    }
}

const PLACEHOLDERS: &str =
    "placeholders are {instance_id}, {hostname}, {ip}, {asg}, {tag:NAME} and {file}";

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// An unknown placeholder, a brace without its partner, or a character that no such name may have.
    pub fn parse(kind: Kind, text: &str) -> Result<Template, TemplateError> {
        let error = |span: Range<usize>, message: String, help: &str| TemplateError {
            column: text[..span.start].chars().count() + 1,
            span,
            message,
            help: help.to_owned(),
        };
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.char_indices().peekable();
        while let Some((at, character)) = rest.next() {
            let doubled = rest.peek().is_some_and(|(_, next)| *next == character);
            match character {
                '{' | '}' if doubled => {
                    rest.next();
                    // A brace is for streams only; the check below says so for groups.
                    check(kind, character)
                        .map_err(|(message, help)| error(at..at + 2, message, help))?;
                    literal.push(character);
                }
                '{' => {
                    let Some(length) = text[at..].find('}') else {
                        return Err(error(
                            at..text.len(),
                            "this brace is never closed".into(),
                            "write } behind the placeholder, or {{ for a brace",
                        ));
                    };
                    let end = at + length;
                    let (name, or) = match text[at + 1..end].split_once('|') {
                        Some((name, or)) => (name, Some(or)),
                        None => (&text[at + 1..end], None),
                    };
                    let what = what(name).ok_or_else(|| {
                        error(at..end + 1, format!("there is no {{{name}}}"), PLACEHOLDERS)
                    })?;
                    if let Some(or) = or {
                        let start = at + 1 + name.len() + 1;
                        for (offset, character) in or.char_indices() {
                            let from = start + offset;
                            check(kind, character).map_err(|(message, help)| {
                                error(from..from + character.len_utf8(), message, help)
                            })?;
                        }
                    }
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Value {
                        what,
                        or: or.map(str::to_owned),
                    });
                    while rest.next_if(|(next, _)| *next <= end).is_some() {}
                }
                '}' => {
                    return Err(error(
                        at..at + 1,
                        "this brace closes nothing".into(),
                        "write }} for a brace",
                    ));
                }
                _ => {
                    check(kind, character).map_err(|(message, help)| {
                        error(at..at + character.len_utf8(), message, help)
                    })?;
                    literal.push(character);
                }
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        if pieces.is_empty() {
            return Err(error(
                0..0,
                "it is empty".into(),
                "a name has at least one character",
            ));
        }
        Ok(Template {
            kind,
            text: text.to_owned(),
            pieces,
        })
    }

    /// Whether every file gets a name of its own. Where it does not, several files share one, and whoever configures that
    /// must want it.
    #[must_use]
    pub fn tells_files_apart(&self) -> bool {
        self.pieces.iter().any(|piece| {
            matches!(
                piece,
                Piece::Value {
                    what: What::File,
                    ..
                }
            )
        })
    }

    /// The name in parts, with what is `known` (by a placeholder's name without braces: `instance_id`, `tag:Role`) filled in. `None` stands
    /// for what is not. The text after `|` says only what a host's name is that has no such thing, so it is nothing to go by.
    pub fn parts(&self, known: impl Fn(&str) -> Option<String>) -> Vec<Option<String>> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => Some(text.clone()),
                Piece::Value { what, .. } => known(&what.to_string()),
            })
            .collect()
    }

    /// The name on this host for this file.
    ///
    /// # Errors
    /// When a placeholder has no value here, or the name is none that AWS takes.
    pub fn resolve(&self, host: &Host, file: &Path) -> Result<String, ResolveError> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Value { what, or } => match (value(what, host), or) {
                    (Ok(Some(value)), _) => {
                        let before = name.chars().count();
                        name.push_str(&value);
                        self.check_value(&value, &name, before, what)?;
                    }
                    (Ok(None), _) => self.push_path(&mut name, file),
                    (Err(_), Some(or)) => name.push_str(or),
                    (Err(why), None) => {
                        return Err(ResolveError::Missing {
                            kind: self.kind,
                            template: self.text.clone(),
                            placeholder: what.to_string(),
                            why,
                        });
                    }
                },
            }
        }
        match self.broken_rule(&name) {
            Some(why) => Err(ResolveError::Name {
                kind: self.kind,
                template: self.text.clone(),
                name,
                why,
            }),
            None => Ok(name),
        }
    }

    fn check_value(
        &self,
        value: &str,
        name: &str,
        before: usize,
        what: &What,
    ) -> Result<(), ResolveError> {
        match value.chars().position(|it| !self.kind.allows(it)) {
            None => Ok(()),
            Some(position) => Err(ResolveError::Character {
                kind: self.kind,
                template: self.text.clone(),
                name: name.to_owned(),
                character: value.chars().nth(position).unwrap_or_default(),
                column: before + position + 1,
                placeholder: what.to_string(),
            }),
        }
    }

    fn push_path(&self, name: &mut String, file: &Path) {
        let escape = self.kind.escape();
        let bytes = file.as_os_str().as_bytes();
        let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
        let hex = |name: &mut String, bytes: &[u8]| {
            for byte in bytes {
                // Writing to a string does not fail.
                let _ = write!(name, "{escape}{byte:02X}");
            }
        };
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character != escape && self.kind.allows(character) {
                    name.push(character);
                } else {
                    hex(name, character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            hex(name, chunk.invalid());
        }
    }

    fn broken_rule(&self, name: &str) -> Option<String> {
        let characters = name.chars().count();
        if characters == 0 {
            return Some("is empty".into());
        }
        if characters > MAX_CHARACTERS {
            return Some(format!(
                "has {characters} characters; AWS takes {MAX_CHARACTERS}"
            ));
        }
        if self.kind == Kind::Group && name.starts_with(RESERVED_PREFIX) {
            return Some(format!(
                "begins with {RESERVED_PREFIX}; AWS keeps that for itself"
            ));
        }
        None
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn check(kind: Kind, character: char) -> Result<(), (String, &'static str)> {
    match kind.allows(character) {
        true => Ok(()),
        false => Err((
            format!("{character:?} can't be in a {kind}'s name"),
            kind.allowed(),
        )),
    }
}

fn what(name: &str) -> Option<What> {
    Some(match name {
        "instance_id" => What::InstanceId,
        "hostname" => What::Hostname,
        "ip" => What::Ip,
        "asg" => What::Asg,
        "file" => What::File,
        _ => match name.strip_prefix("tag:") {
            Some(tag) if !tag.is_empty() => What::Tag(tag.to_owned()),
            _ => return None,
        },
    })
}

/// The value of a placeholder; `None` for the file's path, which is written in its own way; else why there is none.
fn value(what: &What, host: &Host) -> Result<Option<String>, String> {
    match what {
        What::InstanceId => Ok(Some(host.instance_id.clone())),
        What::Hostname => Ok(Some(host.hostname.clone())),
        What::Ip => match host.ip {
            Some(ip) => Ok(Some(ip.to_string())),
            None => Err("no network interface has an IPv4 address".into()),
        },
        What::Asg => host.asg().map(|it| Some(it.to_owned())),
        What::Tag(name) => host.tag(name).map(|it| Some(it.to_owned())),
        What::File => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::HashMap;
    use std::ffi::OsStr;

    use super::*;
    use crate::host::{IdFrom, Tags};
    use proptest::prelude::*;

    fn host() -> Host {
        Host {
            instance_id: "i-0abc".into(),
            id_from: IdFrom::Metadata,
            hostname: "web-1".into(),
            ip: Some([10, 0, 0, 7].into()),
            region: None,
            zone: None,
            image_id: None,
            instance_type: None,
            tags: Tags::Known(
                [
                    ("Name".to_owned(), "shop".to_owned()),
                    ("Odd".to_owned(), "a:b".to_owned()),
                ]
                .into(),
            ),
        }
    }

    fn stream(template: &str, path: &str) -> String {
        Template::parse(Kind::Stream, template)
            .unwrap()
            .resolve(&host(), Path::new(path))
            .unwrap()
    }

    #[test]
    fn parts_are_filled_in_as_far_as_they_are_known() {
        let template =
            Template::parse(Kind::Stream, "x-{{{instance_id}/{asg|none}/{file}").unwrap();
        let known = |what: &str| (what == "instance_id").then(|| "i-1".to_owned());
        let part = |text: &str| Some(text.to_owned());
        assert_eq!(
            template.parts(known),
            [part("x-{"), part("i-1"), part("/"), None, part("/"), None]
        );
    }

    #[test]
    fn placeholders_become_what_the_host_is() {
        assert_eq!(
            stream("{instance_id}/{file}", "/var/log/nginx/access.log"),
            "i-0abc/var/log/nginx/access.log"
        );
        assert_eq!(
            stream("{hostname}-{ip}-{tag:Name}-{asg|alone}", "/a"),
            "web-1-10.0.0.7-shop-alone"
        );
        assert_eq!(stream("{{{hostname}}}", "/a"), "{web-1}");
        assert_eq!(stream("plain", "/a"), "plain");
    }

    #[test]
    fn a_template_that_can_not_be_read_says_where() {
        for (kind, text, column, message) in [
            (Kind::Stream, "a/{host}", 3, "there is no {host}"),
            (Kind::Stream, "é/{host", 3, "this brace is never closed"),
            (Kind::Stream, "a}b", 2, "this brace closes nothing"),
            (Kind::Stream, "a:b", 2, "':' can't be in a stream's name"),
            (
                Kind::Stream,
                "{asg|a*b}",
                7,
                "'*' can't be in a stream's name",
            ),
            (Kind::Stream, "{tag:}", 1, "there is no {tag:}"),
            (Kind::Group, "my app", 3, "' ' can't be in a group's name"),
            (Kind::Group, "a{{b", 2, "'{' can't be in a group's name"),
            (Kind::Stream, "", 1, "it is empty"),
        ] {
            let error = Template::parse(kind, text).unwrap_err();
            assert_eq!((error.column, error.message.as_str()), (column, message));
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_reason() {
        let error = Template::parse(Kind::Group, "app/{asg}")
            .unwrap()
            .resolve(&host(), Path::new("/a"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "group \"app/{asg}\": no {asg} here: the instance has no tag aws:autoscaling:groupName; write \
             {asg|something} to have a name without it"
        );
    }

    #[test]
    fn a_tag_that_makes_no_name_is_told_with_the_character() {
        let error = Template::parse(Kind::Stream, "x-{tag:Odd}")
            .unwrap()
            .resolve(&host(), Path::new("/a"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("has ':' at character 4, from {tag:Odd}"),
            "{error}"
        );
    }

    #[test]
    fn names_keep_the_service_s_limits() {
        let long = "x".repeat(513);
        for (kind, template, why) in [
            (Kind::Stream, long.as_str(), "513 characters"),
            (Kind::Group, "aws/app", "keeps that for itself"),
            (Kind::Stream, "{asg|}", "is empty"),
        ] {
            let error = Template::parse(kind, template)
                .unwrap()
                .resolve(&host(), Path::new("/a"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn only_a_template_with_the_path_tells_files_apart() {
        let apart = |text| {
            Template::parse(Kind::Stream, text)
                .unwrap()
                .tells_files_apart()
        };
        assert!(apart("{instance_id}/{file}"));
        assert!(!apart("{instance_id}"));
    }

    proptest! {
        #[test]
        fn different_paths_are_different_names(
            paths in proptest::collection::vec(proptest::collection::vec(1_u8..=255, 0..12), 2..40),
            group: bool,
        ) {
            let kind = if group { Kind::Group } else { Kind::Stream };
            let template = Template::parse(kind, "x{file}").unwrap();
            let mut seen: HashMap<String, Vec<u8>> = HashMap::new();
            for path in paths {
                let path = [b"/", path.as_slice()].concat();
                let name = template.resolve(&host(), Path::new(OsStr::from_bytes(&path))).unwrap();
                prop_assert!(name.chars().all(|it| kind.allows(it)), "{name}");
                if let Some(other) = seen.insert(name.clone(), path.clone()) {
                    prop_assert_eq!(other, path, "both become {}", name);
                }
            }
        }

        #[test]
        fn any_template_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = Template::parse(Kind::Stream, &text);
            let _ = Template::parse(Kind::Group, &text);
        }
    }
}
