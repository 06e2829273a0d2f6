//! PutLogEvents, read straight into the text where its events will lie; nothing is allocated per event.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::store::Batch;
use super::required;
use crate::endpoint::AwsError;

/// Group and stream of a PutLogEvents; its events are in the batch that was handed in.
#[derive(Debug)]
pub(crate) struct PutLogEvents<'b> {
    pub(crate) log_group_name: Cow<'b, str>,
    pub(crate) log_stream_name: Cow<'b, str>,
}

/// Reads a PutLogEvents; its events are added to `batch`.
pub(crate) fn put_log_events<'b>(
    body: &'b [u8],
    batch: &mut Batch,
) -> Result<PutLogEvents<'b>, AwsError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut put = Put {
        batch,
        group: None,
        stream: None,
        events: false,
        missing: None,
    };
    PutSeed(&mut put)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| AwsError::serialization(error.to_string()))?;
    let group = required(put.group, "logGroupName")?;
    let stream = required(put.stream, "logStreamName")?;
    if !put.events {
        return Err(AwsError::missing("logEvents"));
    }
    if let Some((index, member)) = put.missing {
        let index = index + 1;
        return Err(AwsError::missing(&format!(
            "logEvents.{index}.member.{member}"
        )));
    }
    Ok(PutLogEvents {
        log_group_name: group,
        log_stream_name: stream,
    })
}

struct Put<'t, 'b> {
    batch: &'t mut Batch,
    group: Option<Cow<'b, str>>,
    stream: Option<Cow<'b, str>>,
    events: bool,
    /// The first event that lacks a member, and which.
    missing: Option<(usize, &'static str)>,
}

#[derive(Deserialize)]
enum PutMember {
    #[serde(rename = "logGroupName")]
    Group,
    #[serde(rename = "logStreamName")]
    Stream,
    #[serde(rename = "logEvents")]
    Events,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
enum EventMember {
    #[serde(rename = "timestamp")]
    Timestamp,
    #[serde(rename = "message")]
    Message,
    #[serde(other)]
    Other,
}

/// A string that is borrowed where it has no escapes; `null` is as good as absent.
#[derive(Deserialize)]
struct Name<'b>(#[serde(borrow)] Option<Cow<'b, str>>);

struct PutSeed<'p, 't, 'b>(&'p mut Put<'t, 'b>);

impl<'b> DeserializeSeed<'b> for PutSeed<'_, '_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'b> Visitor<'b> for PutSeed<'_, '_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a PutLogEvents request")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let put = self.0;
        while let Some(member) = map.next_key()? {
            match member {
                PutMember::Group => put.group = map.next_value::<Name<'b>>()?.0,
                PutMember::Stream => put.stream = map.next_value::<Name<'b>>()?.0,
                PutMember::Events => map.next_value_seed(EventsSeed(put))?,
                PutMember::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct EventsSeed<'p, 't, 'b>(&'p mut Put<'t, 'b>);

impl<'b> DeserializeSeed<'b> for EventsSeed<'_, '_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for EventsSeed<'_, '_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut events: A) -> Result<(), A::Error> {
        let put = self.0;
        put.events = true;
        put.batch.clear();
        while events.next_element_seed(EventSeed(put))?.is_some() {}
        Ok(())
    }
}

struct EventSeed<'p, 't, 'b>(&'p mut Put<'t, 'b>);

impl<'b> DeserializeSeed<'b> for EventSeed<'_, '_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'b> Visitor<'b> for EventSeed<'_, '_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let put = self.0;
        let start = put.batch.text().len();
        let (mut unix_ms, mut message) = (None, false);
        while let Some(member) = map.next_key()? {
            match member {
                EventMember::Timestamp => unix_ms = map.next_value::<Option<i64>>()?,
                EventMember::Message => {
                    // Of two the last one counts.
                    put.batch.text().truncate(start);
                    message = map.next_value_seed(MessageSeed(put.batch.text()))?;
                }
                EventMember::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let index = put.batch.len();
        if unix_ms.is_none() || !message {
            let member = if message { "timestamp" } else { "message" };
            put.missing.get_or_insert((index, member));
        }
        put.batch.close(unix_ms.unwrap_or_default());
        Ok(())
    }
}

/// Appends a string; `false`: it is `null`.
struct MessageSeed<'t>(&'t mut String);

impl<'b> DeserializeSeed<'b> for MessageSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for MessageSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        if u32::try_from(text.len()).is_err() {
            return Err(E::custom("a message is longer than any request may be"));
        }
        self.0.push_str(text);
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn parse(body: &str) -> Result<Vec<(i64, String)>, AwsError> {
        let mut batch = Batch::default();
        let put = put_log_events(body.as_bytes(), &mut batch)?;
        assert_eq!((&*put.log_group_name, &*put.log_stream_name), ("g", "s"));
        let events = batch.iter().map(|(ms, text)| (ms, text.to_owned()));
        Ok(events.collect())
    }

    #[test]
    fn members_come_in_any_order_and_unknown_ones_are_passed_over() {
        let body = r#" {"entity":{"a":[1,{}]},"logEvents":[{"message":"a\n\"b\" \u00e4\ud83d\ude00","timestamp":1},
            {"timestamp":2,"message":"plain","x":null}],"logStreamName":"s","logGroupName":"\u0067"} "#;
        let events = parse(body).unwrap();
        let expected = [(1, "a\n\"b\" ä😀".to_owned()), (2, "plain".to_owned())];
        assert_eq!(events, expected);
    }

    #[test]
    fn json_is_read_strictly() {
        let whole = r#"{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"a"}]}"#;
        assert!(parse(whole).is_ok());
        for body in [
            "",
            "[]",
            &whole[..whole.len() - 1],
            &format!("{whole}x"),
            &whole.replace("\"a\"", "1"),
            &whole.replace(":1", ":1.5"),
            &whole.replace(":1", ":\"1\""),
            &whole.replace("\"a\"", "\"\n\""),
            &whole.replace("\"a\"", r#""\ud83d""#),
            &whole.replace("}]", "},]"),
        ] {
            assert_eq!(
                parse(body).unwrap_err().code,
                "SerializationException",
                "{body}"
            );
        }
        let mut bytes = whole.as_bytes().to_vec();
        let at = whole.find("\"a\"").unwrap() + 1;
        bytes[at] = 0xff;
        assert!(put_log_events(&bytes, &mut Batch::default()).is_err());
    }

    #[test]
    fn a_member_that_lacks_is_named() {
        let missing = |body: &str| parse(body).unwrap_err().message;
        let body = r#"{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"a"},{"timestamp":1}]}"#;
        assert!(missing(body).contains("'logEvents.2.member.message'"));
        let body = body.replace("\"timestamp\":1}", "\"message\":\"a\",\"timestamp\":null}");
        assert!(missing(&body).contains("'logEvents.2.member.timestamp'"));
        for member in ["logGroupName", "logStreamName", "logEvents"] {
            let body = body.replace(member, "other");
            assert!(missing(&body).contains(member), "{body}");
        }
    }
}
