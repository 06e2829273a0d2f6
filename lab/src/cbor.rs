//! CBOR to JSON and back, for messages whose types the JSON does not show.
//!
//! JSON has one kind of number. The caller says by field name which numbers are times and which are floating point.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ciborium::Value as Cbor;
use serde_json::{Number, Value as Json};

/// CBOR's tag of seconds since the epoch (RFC 8949, 3.4.2).
const EPOCH_TIME: u64 = 1;

/// What numbers under a field are. It holds for lists and maps under that field too, down to the next named one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As they are written: with a fraction or without.
    AsWritten,
    /// Seconds since the epoch.
    Times,
    /// Floating point, even if written without a fraction.
    Floats,
}

/// Why a value has no counterpart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untranslatable {
    #[error("{0} is not a number that can be stored")]
    NotFinite(String),
    #[error("an integer is out of range")]
    IntegerRange,
    #[error("a key is not a text")]
    Key,
    #[error("the CBOR tag {0} has no meaning here")]
    Tag(u64),
    #[error("'{0}' is not a time")]
    Time(String),
    #[error("an unknown kind of CBOR value")]
    Kind,
}

/// CBOR as JSON: times become seconds, byte strings base64, and fields that are null or undefined are left out.
pub(crate) fn to_json(value: &Cbor) -> Result<Json, Untranslatable> {
    translate(value, &|value| float(value).map(Json::Number))
}

/// As [`to_json`], with the numbers that JSON does not have spelt as AWS's JSON protocols spell them: `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub(crate) fn to_json_with_all_numbers(value: &Cbor) -> Result<Json, Untranslatable> {
    translate(value, &|value| {
        let spelt = || match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        Ok(Number::from_f64(value).map_or_else(|| spelt().into(), Json::Number))
    })
}

fn translate(
    value: &Cbor,
    float: &impl Fn(f64) -> Result<Json, Untranslatable>,
) -> Result<Json, Untranslatable> {
    Ok(match value {
        Cbor::Null => Json::Null,
        Cbor::Bool(value) => Json::Bool(*value),
        Cbor::Integer(value) => Json::Number(integer(*value)?),
        Cbor::Float(value) => float(*value)?,
        Cbor::Text(value) => Json::String(value.clone()),
        Cbor::Bytes(value) => Json::String(BASE64.encode(value)),
        Cbor::Array(values) => Json::Array(
            values
                .iter()
                .map(|value| translate(value, float))
                .collect::<Result<_, _>>()?,
        ),
        Cbor::Map(pairs) => {
            let mut object = serde_json::Map::new();
            for (key, value) in pairs {
                let Cbor::Text(key) = key else {
                    return Err(Untranslatable::Key);
                };
                match translate(value, float)? {
                    Json::Null => {}
                    value => drop(object.insert(key.clone(), value)),
                }
            }
            Json::Object(object)
        }
        Cbor::Tag(EPOCH_TIME, inner) => match &**inner {
            number @ (Cbor::Integer(_) | Cbor::Float(_)) => translate(number, float)?,
            _ => return Err(Untranslatable::Tag(EPOCH_TIME)),
        },
        Cbor::Tag(tag, _) => return Err(Untranslatable::Tag(*tag)),
        _ => return Err(Untranslatable::Kind),
    })
}

/// JSON as CBOR; `numbers_under` says by field name what the numbers under it are.
pub(crate) fn from_json(
    value: &Json,
    numbers_under: &impl Fn(&str) -> Option<Numbers>,
) -> Result<Cbor, Untranslatable> {
    convert(value, Numbers::AsWritten, numbers_under)
}

fn convert(
    value: &Json,
    numbers: Numbers,
    numbers_under: &impl Fn(&str) -> Option<Numbers>,
) -> Result<Cbor, Untranslatable> {
    Ok(match value {
        Json::Null => Cbor::Null,
        Json::Bool(value) => Cbor::Bool(*value),
        Json::Number(value) => number(value, numbers)?,
        Json::String(text) if numbers == Numbers::Times => {
            let time: jiff::Timestamp = text
                .parse()
                .map_err(|_| Untranslatable::Time(text.clone()))?;
            epoch_time(Cbor::Float(time.as_duration().as_secs_f64()))
        }
        Json::String(value) => Cbor::Text(value.clone()),
        Json::Array(values) => Cbor::Array(
            values
                .iter()
                .map(|value| convert(value, numbers, numbers_under))
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(object) => {
            let mut pairs = Vec::with_capacity(object.len());
            for (key, value) in object {
                if !value.is_null() {
                    let numbers = numbers_under(key).unwrap_or(numbers);
                    pairs.push((
                        Cbor::Text(key.clone()),
                        convert(value, numbers, numbers_under)?,
                    ));
                }
            }
            Cbor::Map(pairs)
        }
    })
}

fn number(value: &Number, numbers: Numbers) -> Result<Cbor, Untranslatable> {
    let whole = value
        .as_i64()
        .map(Into::into)
        .or_else(|| value.as_u64().map(Into::into))
        .map(Cbor::Integer);
    let fraction = || {
        value
            .as_f64()
            .map(Cbor::Float)
            .ok_or(Untranslatable::IntegerRange)
    };
    match numbers {
        Numbers::AsWritten => whole.map_or_else(fraction, Ok),
        Numbers::Floats => fraction(),
        Numbers::Times => whole.map_or_else(fraction, Ok).map(epoch_time),
    }
}

fn epoch_time(seconds: Cbor) -> Cbor {
    Cbor::Tag(EPOCH_TIME, Box::new(seconds))
}

fn integer(value: ciborium::value::Integer) -> Result<Number, Untranslatable> {
    let value = i128::from(value);
    i64::try_from(value)
        .map(Number::from)
        .or_else(|_| u64::try_from(value).map(Number::from))
        .map_err(|_| Untranslatable::IntegerRange)
}

fn float(value: f64) -> Result<Number, Untranslatable> {
    Number::from_f64(value).ok_or_else(|| Untranslatable::NotFinite(value.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn by_name(field: &str) -> Option<Numbers> {
        match field {
            "Time" | "Times" => Some(Numbers::Times),
            "Float" | "Floats" => Some(Numbers::Floats),
            "Plain" => Some(Numbers::AsWritten),
            _ => None,
        }
    }

    fn text(value: &str) -> Cbor {
        Cbor::Text(value.into())
    }

    #[test]
    fn times_and_floats_are_told_apart_by_their_field() {
        let json = serde_json::json!({
            "Time": 1_790_000_000,
            "Times": [1_790_000_000.25, "2026-09-21T14:13:20Z"],
            "Float": 5,
            "Floats": {"p99": 1},
            "Period": 60,
            "Floats2": [5],
        });
        let expected = Cbor::Map(vec![
            (text("Float"), Cbor::Float(5.0)),
            (
                text("Floats"),
                Cbor::Map(vec![(text("p99"), Cbor::Float(1.0))]),
            ),
            (text("Floats2"), Cbor::Array(vec![Cbor::Integer(5.into())])),
            (text("Period"), Cbor::Integer(60.into())),
            (
                text("Time"),
                epoch_time(Cbor::Integer(1_790_000_000.into())),
            ),
            (
                text("Times"),
                Cbor::Array(vec![
                    epoch_time(Cbor::Float(1_790_000_000.25)),
                    epoch_time(Cbor::Float(1_790_000_000.0)),
                ]),
            ),
        ]);
        assert_eq!(from_json(&json, &by_name), Ok(expected));
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert_eq!(
            to_json(&Cbor::Float(f64::NAN)),
            Err(Untranslatable::NotFinite("NaN".into()))
        );
        assert_eq!(
            to_json(&Cbor::Float(f64::INFINITY)),
            Err(Untranslatable::NotFinite("inf".into()))
        );
        assert_eq!(
            to_json(&Cbor::Tag(2, Box::new(Cbor::Bytes(vec![1])))),
            Err(Untranslatable::Tag(2))
        );
        assert_eq!(
            to_json(&epoch_time(text("yesterday"))),
            Err(Untranslatable::Tag(EPOCH_TIME))
        );
        assert_eq!(
            to_json(&Cbor::Map(vec![(Cbor::Null, Cbor::Null)])),
            Err(Untranslatable::Key)
        );
        assert_eq!(
            from_json(&serde_json::json!({"Time": "yesterday"}), &by_name),
            Err(Untranslatable::Time("yesterday".into()))
        );
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let cbor = Cbor::Map(vec![(text("a"), Cbor::Null), (text("b"), Cbor::Bool(true))]);
        assert_eq!(to_json(&cbor), Ok(serde_json::json!({"b": true})));
        let json = serde_json::json!({"a": null, "b": true});
        assert_eq!(
            from_json(&json, &by_name),
            Ok(Cbor::Map(vec![(text("b"), Cbor::Bool(true))]))
        );
    }

    /// JSON without nulls, floats included.
    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            (-1e15..1e15).prop_map(Json::from),
            ".*".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::hash_map("[A-Za-z]{0,8}", inner, 0..6)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    fn encode(value: &Cbor) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn json_comes_back_from_cbor_bytes_as_it_was(json in json()) {
            let bytes = encode(&from_json(&json, &|_| None).unwrap());
            let cbor: Cbor = ciborium::from_reader(&*bytes).unwrap();
            prop_assert_eq!(to_json(&cbor).unwrap(), json);
        }

        #[test]
        fn times_and_values_of_a_series_survive_both_ways(
            points in prop::collection::vec((0_i64..4_000_000_000_000, -1e300..1e300), 0..50)
        ) {
            let times: Vec<f64> = points.iter().map(|(ms, _)| *ms as f64 / 1000.0).collect();
            let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
            let sent = Cbor::Map(vec![
                (text("Times"), Cbor::Array(times.iter().map(|time| epoch_time(Cbor::Float(*time))).collect())),
                (text("Floats"), Cbor::Array(values.iter().map(|value| Cbor::Float(*value)).collect())),
            ]);
            let Cbor::Map(pairs) = from_json(&to_json(&sent).unwrap(), &by_name).unwrap() else { panic!("a map") };
            for (key, list) in pairs {
                for (index, value) in list.into_array().unwrap().into_iter().enumerate() {
                    match value {
                        Cbor::Tag(EPOCH_TIME, time) if key == text("Times") => {
                            prop_assert_eq!(time.into_float().unwrap(), times[index]);
                        }
                        Cbor::Float(value) if key == text("Floats") => prop_assert_eq!(value, values[index]),
                        other => prop_assert!(false, "{:?} under {:?}", other, key),
                    }
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(cbor) = ciborium::from_reader::<Cbor, _>(&*bytes) {
                let _ = to_json(&cbor);
            }
        }
    }
}
