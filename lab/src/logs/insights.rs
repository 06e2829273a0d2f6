//! The queries of Logs Insights that are known here: what is shown of the events of one stream or of all, in which order, and how many.
//!
//! Source: "CloudWatch Logs Insights language query syntax" (CloudWatch Logs user guide). Anything else is refused, rather than answered with what it
//! does not mean.

use super::limits::QUERY_EVENTS;
use crate::endpoint::AwsError;

/// Fields that the service makes for each event.
pub(crate) const FIELDS: [&str; 4] = ["@timestamp", "@message", "@logStream", "@ingestionTime"];

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Insight {
    /// What is shown of each event.
    pub(crate) fields: Vec<&'static str>,
    /// Of which stream; of all where it is not said.
    pub(crate) stream: Option<String>,
    /// The newest first.
    pub(crate) descending: bool,
    /// How many events.
    pub(crate) limit: usize,
}

impl Insight {
    /// Reads `fields … | filter @logStream = "…" | sort @timestamp asc | limit …`, of which each part may be missing.
    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        let mut insight = Self {
            fields: FIELDS[..2].to_vec(),
            stream: None,
            // Without `sort`, the newest events come first.
            descending: true,
            limit: QUERY_EVENTS,
        };
        for (number, command) in commands(text)?.into_iter().enumerate() {
            let unknown = || {
                malformed(&format!(
                    "command {} is not known to this endpoint: {command:?}",
                    number + 1
                ))
            };
            let words: Vec<&Word> = command.iter().collect();
            match words[..] {
                [Word::Plain(word), ref names @ ..] if word == "fields" && !names.is_empty() => {
                    insight.fields = fields(names).ok_or_else(unknown)?;
                }
                [
                    Word::Plain(word),
                    Word::Plain(field),
                    Word::Plain(is),
                    Word::Quoted(stream),
                ] if word == "filter" && field == "@logStream" && is == "=" => {
                    // Two of them would both have to hold.
                    if insight.stream.replace(stream.clone()).is_some() {
                        return Err(unknown());
                    }
                }
                [
                    Word::Plain(word),
                    Word::Plain(field),
                    Word::Plain(direction),
                ] if word == "sort" && field == "@timestamp" => {
                    insight.descending = match direction.as_str() {
                        "asc" => false,
                        "desc" => true,
                        _ => return Err(unknown()),
                    };
                }
                [Word::Plain(word), Word::Plain(count)] if word == "limit" || word == "head" => {
                    let count = count.parse().ok();
                    let count = count.filter(|count| (1..=QUERY_EVENTS).contains(count));
                    insight.limit = count.ok_or_else(unknown)?;
                }
                _ => return Err(unknown()),
            }
        }
        Ok(insight)
    }
}

/// What a query that is not understood gets.
pub(crate) fn malformed(why: &str) -> AwsError {
    AwsError::client("MalformedQueryException", why)
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Plain(String),
    Quoted(String),
}

/// The commands, which a bar parts, as words. Commas part words, too.
fn commands(text: &str) -> Result<Vec<Vec<Word>>, AwsError> {
    let mut commands = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let words = commands.last_mut();
        let words = words.ok_or_else(|| malformed("there is no command"))?;
        match character {
            '|' => commands.push(Vec::new()),
            ',' => {}
            c if c.is_whitespace() => {}
            quote @ ('"' | '\'') => {
                let mut inside = String::new();
                loop {
                    match rest.next() {
                        None => return Err(malformed("a string has no end")),
                        Some(c) if c == quote => break,
                        Some('\\') => inside.extend(rest.next()),
                        Some(c) => inside.push(c),
                    }
                }
                words.push(Word::Quoted(inside));
            }
            first => {
                let mut word = String::from(first);
                let ends = |c: &char| c.is_whitespace() || ",|\"'".contains(*c);
                while let Some(next) = rest.next_if(|c| !ends(c)) {
                    word.push(next);
                }
                words.push(Word::Plain(word));
            }
        }
    }
    Ok(commands)
}

fn fields(names: &[&Word]) -> Option<Vec<&'static str>> {
    let known = |name: &&Word| match name {
        Word::Plain(name) => FIELDS.into_iter().find(|field| field == name),
        Word::Quoted(_) => None,
    };
    names.iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_an_agent_asks_is_understood() {
        let text = r#"fields @timestamp, @message | filter @logStream = "i-1/a|b \"c\" \\ 'd'" | sort @timestamp asc"#;
        let insight = Insight::parse(text).unwrap();
        assert_eq!(insight.stream.as_deref(), Some(r#"i-1/a|b "c" \ 'd'"#));
        assert_eq!(insight.fields, ["@timestamp", "@message"]);
        assert!(!insight.descending);
        assert_eq!(insight.limit, QUERY_EVENTS);
        let insight = Insight::parse("fields @message,@logStream|limit 5").unwrap();
        assert_eq!(insight.fields, ["@message", "@logStream"]);
        assert_eq!((insight.limit, insight.descending), (5, true));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "fields",
            "fields @nothing",
            "fields @message | ",
            "filter @message like /x/",
            r#"filter @logStream = "a" or @logStream = "b""#,
            r#"filter @logStream = "a" | filter @logStream = "b""#,
            r#"filter @logStream != "a""#,
            r#"filter @logStream = "a"#,
            "sort @message asc",
            "sort @timestamp",
            "limit 0",
            "limit 100001",
            "stats count(*) by bin(1m)",
        ] {
            let error = Insight::parse(text).unwrap_err();
            assert_eq!(error.code, "MalformedQueryException", "{text}");
        }
    }
}
