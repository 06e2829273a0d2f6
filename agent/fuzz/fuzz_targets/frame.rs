//! Framing loses no byte, keeps the limit, and finds the same events whatever the buffers.

#![no_main]

use std::sync::{Arc, LazyLock};

use baker_agent_fuzz::account::Filtered;
use baker_agent_fuzz::frame::{End, Framer, MIN_EVENT_BYTES, Multiline, Next, Patterns, Rules};
use libfuzzer_sys::fuzz_target;

/// An event, or bytes that are filtered.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Event {
        message: String,
        bytes: usize,
        replaced: u32,
        continues: bool,
        open: bool,
    },
    Filtered {
        bytes: usize,
        why: Filtered,
    },
}

/// Limits that are met everywhere, now and then, and not often.
const LIMITS: [usize; 4] = [
    MIN_EVENT_BYTES,
    MIN_EVENT_BYTES + 1,
    MIN_EVENT_BYTES + 20,
    3 * MIN_EVENT_BYTES,
];

/// Every combination of rules, made once: patterns take longer to compile than all the rest.
static RULES: LazyLock<Vec<Arc<Rules>>> = LazyLock::new(|| {
    let patterns = |on: bool, pattern| Patterns::parse(on.then_some(pattern)).expect("a pattern");
    (0..32)
        .map(|number| {
            let on = |bit: usize| number & bit != 0;
            Arc::new(Rules {
                multiline: on(1).then(|| Multiline::parse(r"^\S").expect("a pattern")),
                include: patterns(on(2), "[ -z]"),
                exclude: patterns(on(4), "x$"),
                max_event_bytes: LIMITS[number / 8],
                ..Rules::default()
            })
        })
        .collect()
});

fuzz_target!(|input: &[u8]| {
    let [switches, cut_count, cuts @ .., _] = input else {
        return;
    };
    let (cuts, bytes) = cuts.split_at(cuts.len().min(usize::from(cut_count % 8)));
    let rules = &RULES[usize::from(switches % 32)];
    let end = if switches & 32 == 0 {
        End::Final
    } else {
        End::Quiet
    };
    let whole = frame(bytes, rules, end, &[]);
    assert_eq!(frame(bytes, rules, end, cuts), whole, "cuts change nothing");
    let mut at = 0;
    for item in &whole {
        let Item::Event {
            message,
            bytes: length,
            replaced,
            continues,
            ..
        } = item
        else {
            at += item.bytes();
            continue;
        };
        assert!(!message.is_empty() && message.len() <= rules.max_event_bytes);
        let before = at.checked_sub(1).map(|last: usize| bytes[last]);
        let mut framer = Framer::resume(Arc::clone(rules), before);
        let Next::Event(again) = framer.next(&bytes[at..at + length], End::Final) else {
            panic!("an event framed again by itself is one");
        };
        assert_eq!(
            (
                &*again.message,
                again.bytes,
                again.replaced,
                again.continues
            ),
            (message.as_str(), *length, *replaced, *continues)
        );
        at += length;
    }
    // Half a character may wait, and a byte order mark with nothing but that behind it.
    let waiting = if end == End::Quiet { 6 } else { 0 };
    assert!(bytes.len() - at <= waiting, "all is accounted for");
});

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Event { bytes, .. } | Self::Filtered { bytes, .. } => *bytes,
        }
    }
}

/// All items, read with buffers of the sizes that `cuts` gives, or at once.
fn frame(bytes: &[u8], rules: &Arc<Rules>, end: End, cuts: &[u8]) -> Vec<Item> {
    let mut framer = Framer::new(Arc::clone(rules));
    let mut items = Vec::new();
    let mut sizes = cuts.iter().cycle();
    let (mut at, mut size) = (0, 0);
    while at < bytes.len() {
        size += sizes
            .next()
            .map_or(bytes.len(), |&size| usize::from(size) + 1);
        let to = bytes.len().min(at + size);
        let end = if to == bytes.len() { end } else { End::More };
        let from = at;
        loop {
            let item = match framer.next(&bytes[at..to], end) {
                Next::Need => break,
                Next::Filtered { bytes, why } => Item::Filtered { bytes, why },
                Next::Event(event) => Item::Event {
                    bytes: event.bytes,
                    message: event.message.into_owned(),
                    replaced: event.replaced,
                    continues: event.continues,
                    open: event.open,
                },
            };
            assert!(item.bytes() > 0, "something is taken");
            at += item.bytes();
            push(&mut items, item);
        }
        if at > from {
            size = 0;
        } else if to == bytes.len() {
            break;
        }
    }
    items
}

/// Runs of filtered bytes end where a buffer does: they are joined again.
fn push(items: &mut Vec<Item>, item: Item) {
    match (items.last_mut(), item) {
        (
            Some(Item::Filtered { bytes, why }),
            Item::Filtered {
                bytes: more,
                why: same,
            },
        ) if *why == same => {
            *bytes += more;
        }
        (_, item) => items.push(item),
    }
}
