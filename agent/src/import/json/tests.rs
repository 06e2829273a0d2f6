#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

/// What serde_json makes of it, which knows no places.
fn same(node: &Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as Other;
    match (node, other) {
        (Value::Null, Other::Null) => true,
        (Value::Bool(one), Other::Bool(other)) => one == other,
        (Value::Number(one), Other::Number(other)) => {
            serde_json::from_str::<serde_json::Number>(one).unwrap() == *other
        }
        (Value::Text(one), Other::String(other)) => one == other,
        (Value::List(one), Other::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(&a.value, b))
        }
        (Value::Object(one), Other::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|it| other.get(&it.name).is_some_and(|b| same(&it.node.value, b)))
        }
        _ => false,
    }
}

fn slip(text: &str) -> (usize, String) {
    let slip = parse(text).unwrap_err();
    (slip.span.start, slip.message)
}

#[test]
fn each_slip_is_told_where_it_is() {
    for (text, at, message) in [
        ("", 0, "the text ends where a value should be"),
        ("{\"a\": 1,}", 8, "a member is missing here"),
        ("[1,]", 3, "a value is missing here"),
        ("{\"a\" 1}", 5, "a colon should be here"),
        ("{\"a\": 1 \"b\": 2}", 8, "a comma or } should be here"),
        ("{a: 1}", 1, "the name of a member should be here"),
        ("[1 2]", 3, "a comma or ] should be here"),
        ("{\"a\": 'b'}", 6, "a string begins with \""),
        ("{} x", 3, "something follows the end"),
        ("{\"a\": \"b", 6, "this string is never closed"),
        (
            "[\"a\nb\"]",
            3,
            "a line end or control character within a string",
        ),
        ("[\"\\d\"]", 2, "there is no such escape"),
        ("[\"\\ud800\"]", 2, "this is no character"),
        ("[01]", 1, "this is no number"),
        ("// x", 0, "JSON has no comments"),
        ("{\"a\": 1", 7, "the text ends within an object"),
        ("[nul]", 1, "this is no value"),
    ] {
        assert_eq!(slip(text), (at, message.to_owned()), "{text}");
    }
    assert!(slip(r#"{"a": 1, "a": 2}"#).1.contains("twice"));
    assert!(slip(&"[".repeat(100_000)).1.contains("deeply"));
}

#[test]
fn everything_has_its_place() {
    let text = "{ \"a\": [1, \"ü\"] }";
    let node = parse(text).unwrap();
    assert_eq!(&text[node.span.clone()], text);
    let Value::Object(members) = node.value else {
        panic!("no object");
    };
    assert_eq!(&text[members[0].span.clone()], "\"a\"");
    let Value::List(list) = &members[0].node.value else {
        panic!("no list");
    };
    assert_eq!(&text[list[1].span.clone()], "\"ü\"");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        ".*".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::hash_map(".{0,4}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_json_is_read_as_others_read_it(value in json(), pretty in any::<bool>()) {
        let text = match pretty {
            true => serde_json::to_string_pretty(&value).unwrap(),
            false => value.to_string(),
        };
        // Not `value`: serde_json reads a fraction back to the last bit only if asked to.
        let other = serde_json::from_str(&text).unwrap();
        let node = parse(&text).unwrap();
        prop_assert!(same(&node.value, &other), "{}", text);
        let again = parse(&node.value.to_string()).unwrap();
        prop_assert!(same(&again.value, &other));
    }

    #[test]
    fn what_others_refuse_is_refused(text in r#"[\[\]{}:,"\\a-u0-9.eE +\-]{0,24}"#) {
        let other = serde_json::from_str::<serde_json::Value>(&text);
        match parse(&text) {
            Ok(node) => {
                // Numbers beyond what a double holds are only written down here.
                if let Ok(other) = &other {
                    prop_assert!(same(&node.value, other), "{}", text);
                } else {
                    prop_assert!(other.unwrap_err().to_string().contains("out of range"));
                }
            }
            Err(slip) => prop_assert!(
                other.is_err() || slip.message.contains("twice"),
                "{}: {}", text, slip.message
            ),
        }
    }

    #[test]
    fn no_text_is_too_odd_and_every_place_is_within_it(text in any::<String>()) {
        if let Err(slip) = parse(&text) {
            prop_assert!(text.get(slip.span.clone()).is_some());
        }
    }
}
