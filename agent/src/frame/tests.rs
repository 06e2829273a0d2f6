#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::model::{self, Item};
use super::*;

fn rules() -> Rules {
    Rules::default()
}

/// Long lines are tested with short ones.
fn small() -> Rules {
    Rules {
        max_event_bytes: MIN_EVENT_BYTES,
        ..Rules::default()
    }
}

fn traces() -> Rules {
    Rules {
        multiline: Some(Multiline::parse(r"^\S").unwrap()),
        ..Rules::default()
    }
}

/// All that is in `bytes`, read with buffers of the sizes that `sizes` gives.
fn frame(
    bytes: &[u8],
    rules: &Rules,
    end: End,
    afresh: bool,
    mut sizes: impl FnMut() -> usize,
) -> Vec<Item> {
    let rules = Arc::new(rules.clone());
    let mut framer = Framer::new(Arc::clone(&rules));
    let mut items = Vec::new();
    let mut at = 0;
    let mut more = 0;
    loop {
        let to = bytes.len().min(at + sizes() + more);
        let here = if to == bytes.len() { end } else { End::More };
        let mut needs = false;
        let from = at;
        while at < to {
            let next = framer.next(&bytes[at..to], here);
            let item = match next {
                Next::Need => {
                    needs = true;
                    break;
                }
                Next::Filtered { bytes, why } => Item::Filtered { at, bytes, why },
                Next::Event(event) => Item::Event {
                    at,
                    bytes: event.bytes,
                    message: event.message.into_owned(),
                    replaced: event.replaced,
                    continues: event.continues,
                    open: event.open,
                },
            };
            let (Item::Event { bytes: taken, .. } | Item::Filtered { bytes: taken, .. }) = item;
            assert!(taken > 0, "nothing was taken");
            model::push(&mut items, item);
            at += taken;
            if afresh {
                framer = Framer::resume(Arc::clone(&rules), Some(bytes[at - 1]));
            }
        }
        if at == from {
            if to == bytes.len() {
                return items;
            }
            assert!(
                needs && more < rules.window_bytes(),
                "the window is not enough"
            );
            more = (more + 1) * 2;
        } else {
            more = 0;
        }
    }
}

fn all(bytes: &[u8], rules: &Rules, end: End) -> Vec<Item> {
    frame(bytes, rules, end, false, || usize::MAX / 2)
}

fn messages(bytes: &[u8], rules: &Rules, end: End) -> Vec<String> {
    all(bytes, rules, end)
        .into_iter()
        .filter_map(|item| match item {
            Item::Event { message, .. } => Some(message),
            Item::Filtered { .. } => None,
        })
        .collect()
}

fn filtered(items: &[Item], reason: Filtered) -> usize {
    items
        .iter()
        .map(|item| match item {
            Item::Filtered { bytes, why, .. } if *why == reason => *bytes,
            _ => 0,
        })
        .sum()
}

#[test]
fn a_line_ends_with_line_feed_or_both_and_a_lone_return_is_text() {
    assert_eq!(
        messages(b"a\nb\r\nc\rd\n  \n", &rules(), End::More),
        ["a", "b", "c\rd", "  "]
    );
}

#[test]
fn an_unfinished_line_waits_until_it_is_quiet_and_what_follows_is_its_own_event() {
    let mut framer = Framer::new(Arc::new(rules()));
    assert_eq!(framer.next(b"abc", End::More), Next::Need);
    let Next::Event(event) = framer.next(b"abc", End::Quiet) else {
        panic!("it was quiet");
    };
    assert_eq!((&*event.message, event.bytes, event.open), ("abc", 3, true));
    let Next::Event(event) = framer.next(b"def\n", End::More) else {
        panic!("the line ended");
    };
    assert_eq!(
        (&*event.message, event.bytes, event.open),
        ("def", 4, false)
    );
    assert!(event.continues, "it began inside a line");
}

#[test]
fn half_a_character_waits_for_the_other_half_until_the_file_ends() {
    let bytes = "fünf".as_bytes();
    let mut framer = Framer::new(Arc::new(rules()));
    assert_eq!(framer.next(&bytes[..2], End::More), Next::Need);
    assert!(matches!(
        framer.next(&bytes[..2], End::Quiet),
        Next::Event(Event {
            bytes: 1,
            replaced: 0,
            ..
        })
    ));
    assert_eq!(framer.next(&bytes[1..2], End::Quiet), Next::Need);
    assert_eq!(messages(&bytes[..2], &rules(), End::Final), ["f\u{fffd}"]);
}

#[test]
fn invalid_bytes_are_replaced_and_counted() {
    let items = all(b"\xff\xfe ok \xe2\x82\n", &rules(), End::More);
    let Item::Event {
        message,
        replaced,
        bytes,
        ..
    } = &items[0]
    else {
        panic!("an event");
    };
    assert_eq!(
        (message.as_str(), *replaced, *bytes),
        ("\u{fffd}\u{fffd} ok \u{fffd}", 3, 9)
    );
}

#[test]
fn a_byte_order_mark_counts_but_is_not_sent_and_only_at_the_start() {
    let items = all("\u{feff}a\n\u{feff}b\n".as_bytes(), &rules(), End::More);
    let Item::Event { message, bytes, .. } = &items[0] else {
        panic!("an event");
    };
    assert_eq!((message.as_str(), *bytes), ("a", 5));
    assert!(matches!(&items[1], Item::Event { message, .. } if message == "\u{feff}b"));
    assert_eq!(
        filtered(
            &all("\u{feff}".as_bytes(), &rules(), End::Final),
            Filtered::Empty
        ),
        3
    );
    assert!(all("\u{feff}".as_bytes(), &rules(), End::Quiet).is_empty());
}

#[test]
fn a_hole_is_filtered_and_the_line_behind_it_begins_afresh() {
    let mut bytes = vec![0; 3];
    bytes.extend(b"one\nhalf");
    bytes.extend([0; HOLE_BYTES]);
    bytes.extend(b"two\nt\0ree\n");
    let items = all(&bytes, &rules(), End::More);
    assert_eq!(filtered(&items, Filtered::Hole), 3 + HOLE_BYTES);
    assert_eq!(
        messages(&bytes, &rules(), End::More),
        ["one", "half", "two", "t\0ree"]
    );
    assert!(items.iter().all(|item| !matches!(
        item,
        Item::Event {
            continues: true,
            ..
        }
    )));
}

#[test]
fn a_huge_hole_is_taken_in_pieces() {
    let mut framer = Framer::new(Arc::new(rules()));
    let hole = Next::Filtered {
        bytes: 4096,
        why: Filtered::Hole,
    };
    assert_eq!(framer.next(&[0; 4096], End::More), hole);
    assert_eq!(framer.next(&[0; 4096], End::More), hole);
}

#[test]
fn a_long_line_is_split_and_every_piece_but_the_last_is_marked() {
    let line = "ä".repeat(100);
    let pieces = messages(format!("{line}\n").as_bytes(), &small(), End::More);
    let (last, marked) = pieces.split_last().unwrap();
    assert!(!last.contains(CONTINUED));
    let mut whole = String::new();
    for piece in marked {
        assert!(piece.len() <= MIN_EVENT_BYTES && piece.len() > MIN_EVENT_BYTES - 4);
        whole.push_str(piece.strip_suffix(CONTINUED).unwrap());
    }
    assert_eq!(whole + last, line);
}

#[test]
fn a_line_of_the_very_limit_is_whole() {
    for ending in ["\n", "\r\n"] {
        let line = "x".repeat(MIN_EVENT_BYTES);
        let bytes = format!("{line}{ending}");
        assert_eq!(messages(bytes.as_bytes(), &small(), End::More), [line]);
    }
    let longer = format!("{}\n", "x".repeat(MIN_EVENT_BYTES + 1));
    assert_eq!(messages(longer.as_bytes(), &small(), End::More).len(), 2);
}

#[test]
fn replacements_do_not_lift_a_message_over_the_limit() {
    let mut bytes = vec![0xff; 40];
    bytes.push(b'\n');
    let pieces = messages(&bytes, &small(), End::More);
    assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= MIN_EVENT_BYTES));
}

#[test]
fn a_trace_is_one_event_and_ends_with_the_next_first_line() {
    let bytes = b"  left over\nERROR boom\n  at a\r\n\n  at b\n\nINFO next\n";
    assert_eq!(
        messages(bytes, &traces(), End::More),
        ["  left over", "ERROR boom\n  at a\r\n\n  at b"]
    );
    assert_eq!(messages(bytes, &traces(), End::Quiet)[2], "INFO next");
}

#[test]
fn a_line_that_is_not_all_there_is_not_judged_by_its_beginning() {
    let rules = Rules {
        multiline: Some(Multiline::parse("^AB").unwrap()),
        ..rules()
    };
    let mut framer = Framer::new(Arc::new(rules));
    assert_eq!(framer.next(b"AB\nA", End::More), Next::Need);
    assert!(matches!(
        framer.next(b"AB\nAB", End::Quiet),
        Next::Event(Event {
            bytes: 3,
            open: false,
            ..
        })
    ));
}

#[test]
fn patterns_see_the_whole_event_and_runs_are_told_once() {
    let rules = Rules {
        include: Patterns::parse(["at b", "INFO"]).unwrap(),
        exclude: Patterns::parse(["secret"]).unwrap(),
        ..traces()
    };
    let bytes = b"E1\n  at b\nE2\n  at c\nINFO secret\nINFO\nx\n";
    let items = all(bytes, &rules, End::Final);
    assert_eq!(messages(bytes, &rules, End::Final), ["E1\n  at b", "INFO"]);
    assert!(matches!(
        items[1],
        Item::Filtered {
            bytes: 22,
            why: Filtered::Pattern,
            ..
        }
    ));
    assert_eq!(items.len(), 4);
}

#[test]
fn a_line_that_grows_byte_by_byte_is_scanned_once() {
    let line = vec![b'x'; 200_000];
    let mut framer = Framer::new(Arc::new(rules()));
    for to in (1..line.len()).step_by(1000) {
        assert_eq!(framer.next(&line[..to], End::More), Next::Need);
        assert_eq!(framer.scanned, to);
    }
}

#[test]
fn a_buffer_may_be_shorter_than_the_one_before() {
    let rules = Rules {
        exclude: Patterns::parse(["x"]).unwrap(),
        ..rules()
    };
    let mut framer = Framer::new(Arc::new(rules));
    let filtered = Next::Filtered {
        bytes: 2,
        why: Filtered::Pattern,
    };
    assert_eq!(framer.next(b"x\nabc\ndef", End::More), filtered);
    assert_eq!(framer.next(b"ab", End::More), Next::Need);
    let Next::Event(event) = framer.next(b"abc\nde", End::More) else {
        panic!("the line ended");
    };
    assert_eq!(event.message, "abc");
    assert_eq!(framer.next(b"def", End::More), Next::Need);
    assert_eq!(framer.next(b"d", End::More), Next::Need);
    assert!(matches!(framer.next(b"d\n", End::More), Next::Event(_)));
}

/// Bytes in which everything that framing cares for is frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => "[a-c ]{0,12}".prop_map(String::into_bytes),
        6 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        3 => Just(b"S".to_vec()),
        2 => "[äß€😀]{1,20}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(0x80_u8..=0xff, 1..4),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
        1 => (40_usize..140).prop_map(|length| vec![b'x'; length]),
        1 => (20_usize..60).prop_map(|length| vec![0xff; length]),
        1 => (1_usize..2 * HOLE_BYTES).prop_map(|length| vec![0; length]),
        1 => (40_usize..140).prop_map(|length| vec![b'\n'; length]),
    ];
    (any::<bool>(), proptest::collection::vec(part, 0..40)).prop_map(|(mark, parts)| {
        let mark = if mark { "\u{feff}".as_bytes() } else { &[] };
        [mark.to_vec(), parts.concat()].concat()
    })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 64_usize..90).prop_map(
        |(multiline, include, exclude, max_event_bytes)| Rules {
            multiline: multiline.then(|| Multiline::parse("^S").unwrap()),
            include: Patterns::parse(include.then_some("[ab]")).unwrap(),
            exclude: Patterns::parse(exclude.then_some("c")).unwrap(),
            max_event_bytes,
            ..Rules::default()
        },
    )
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::More), Just(End::Quiet), Just(End::Final)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_the_buffers_the_events_are_those_of_the_model(
        bytes in bytes(),
        rules in any_rules(),
        end in any_end(),
        afresh: bool,
        sizes in proptest::collection::vec(1_usize..100, 1..20),
    ) {
        let mut sizes = sizes.into_iter().cycle();
        let found = frame(&bytes, &rules, end, afresh, || sizes.next().unwrap());
        let mut expected = model::frame(&bytes, &rules, End::Final);
        if end == End::More {
            // How early a message over the limit is seen to be one depends on what is in view.
            prop_assert!(expected.len() >= found.len());
            let shown: Vec<_> = found.iter().filter(|item| matches!(item, Item::Event { .. })).collect();
            let known: Vec<_> = expected.iter().filter(|item| matches!(item, Item::Event { .. })).collect();
            prop_assert_eq!(&shown[..], &known[..shown.len()]);
        } else {
            if end == End::Quiet {
                expected = model::frame(&bytes, &rules, End::Quiet);
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn every_event_framed_again_by_itself_is_the_same(bytes in bytes(), rules in any_rules(), end in any_end()) {
        let shared = Arc::new(rules.clone());
        for item in all(&bytes, &rules, end) {
            let Item::Event { at, bytes: length, message, replaced, continues, .. } = item else { continue };
            prop_assert!(message.len() <= rules.max_event_bytes && !message.is_empty());
            let before = at.checked_sub(1).map(|last| bytes[last]);
            let mut framer = Framer::resume(Arc::clone(&shared), before);
            match framer.next(&bytes[at..at + length], End::Final) {
                Next::Event(again) => {
                    prop_assert_eq!(&*again.message, message.as_str());
                    prop_assert_eq!((again.bytes, again.replaced, again.continues), (length, replaced, continues));
                }
                other => prop_assert!(false, "framed again: {other:?}"),
            }
        }
    }
}
