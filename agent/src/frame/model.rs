//! The obvious framer: sees all bytes at once, takes them one by one, remembers nothing.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::account::Filtered;

use super::{CONTINUED, End, HOLE_BYTES, Rules, START_BYTES};

/// What the framer is to find, with where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Event {
        at: usize,
        bytes: usize,
        message: String,
        replaced: u32,
        continues: bool,
        open: bool,
    },
    Filtered {
        at: usize,
        bytes: usize,
        why: Filtered,
    },
}

/// Adds to the run before it what is filtered for the same reason.
pub(super) fn push(items: &mut Vec<Item>, item: Item) {
    if let (
        Some(Item::Filtered {
            bytes, why: last, ..
        }),
        Item::Filtered {
            bytes: more, why, ..
        },
    ) = (items.last_mut(), &item)
        && last == why
    {
        *bytes += more;
        return;
    }
    items.push(item);
}

/// Frames `bytes`, which begin a generation, to `end`.
pub(super) fn frame(bytes: &[u8], rules: &Rules, end: End) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let before = at.checked_sub(1).map(|last| bytes[last]);
        let Some(item) = first(&bytes[at..], at, before, rules, end) else {
            break;
        };
        at += match &item {
            Item::Event { bytes, .. } | Item::Filtered { bytes, .. } => bytes,
        };
        push(&mut items, item);
    }
    items
}

fn first(rest: &[u8], at: usize, before: Option<u8>, rules: &Rules, end: End) -> Option<Item> {
    let filtered = |bytes, why| Some(Item::Filtered { at, bytes, why });
    if rest[0] == 0 {
        return filtered(1, Filtered::Hole);
    }
    let mark = if before.is_none() && rest.starts_with("\u{feff}".as_bytes()) {
        3
    } else {
        0
    };
    let mut next = mark;
    let mut terminated = false;
    let mut open = true;
    while next < rest.len() {
        if rest[next..].starts_with(&[0; HOLE_BYTES]) {
            open = false;
            break;
        }
        if rest[next] == b'\n' {
            let line = &rest[next + 1..];
            let starts = match &rules.multiline {
                None => true,
                Some(multiline) => {
                    let head = &line[..line.len().min(START_BYTES)];
                    let head = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
                    let ends = line.get(head.len()) == Some(&b'\n');
                    let head = head.strip_suffix(b"\r").filter(|_| ends).unwrap_or(head);
                    !line.is_empty() && multiline.starts(head)
                }
            };
            if starts {
                terminated = rules.multiline.is_none();
                open = false;
                next += 1;
                break;
            }
        }
        next += 1;
    }
    if open {
        match end {
            End::More => return None,
            End::Quiet => next -= unfinished(&rest[mark..]),
            End::Final => {}
        }
        if end == End::Quiet && next == mark {
            return None;
        }
    }
    let all = &rest[mark..next];
    let mut text = all;
    if terminated {
        text = all.strip_suffix(b"\n").unwrap_or(all);
        text = text.strip_suffix(b"\r").unwrap_or(text);
    } else if rules.multiline.is_some() {
        while let Some(less) = text.strip_suffix(b"\n") {
            text = less.strip_suffix(b"\r").unwrap_or(less);
        }
    }
    let piece = rules.max_event_bytes - CONTINUED.len();
    let whole = if terminated {
        rules.max_event_bytes
    } else {
        piece - 4
    };
    let subject = units(if terminated { text } else { all });
    let length: usize = subject.iter().map(|unit| unit.text.len()).sum();
    let mut seen = text;
    let mut bytes = next;
    let mut message: String = units(text).iter().map(|unit| unit.text.as_str()).collect();
    let mut replaced = units(text).iter().filter(|unit| unit.invalid).count();
    if length > whole {
        message.clear();
        replaced = 0;
        let mut taken = 0;
        for unit in &subject {
            if message.len() + unit.text.len() > piece {
                break;
            }
            message.push_str(&unit.text);
            taken += unit.bytes;
            replaced += usize::from(unit.invalid);
        }
        message.push_str(CONTINUED);
        seen = &all[..taken];
        bytes = mark + taken;
        open = false;
    } else if text.is_empty() {
        return filtered(bytes, Filtered::Empty);
    }
    if !rules.wants(seen) {
        return filtered(bytes, Filtered::Pattern);
    }
    Some(Item::Event {
        at,
        bytes,
        message,
        replaced: u32::try_from(replaced).unwrap(),
        continues: !matches!(before, None | Some(b'\n' | 0)),
        open,
    })
}

/// A character, or what stands for bytes that are none.
struct Unit {
    text: String,
    bytes: usize,
    invalid: bool,
}

fn units(mut bytes: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    while !bytes.is_empty() {
        let valid = (1..=bytes.len().min(4)).find_map(|length| {
            let text = std::str::from_utf8(&bytes[..length]).ok()?;
            Some((text.to_owned(), length))
        });
        let invalid = valid.is_none();
        let (text, length) = valid.unwrap_or_else(|| {
            let error = std::str::from_utf8(bytes).unwrap_err();
            assert_eq!(error.valid_up_to(), 0, "the first bytes are no character");
            let length = error.error_len().unwrap_or(bytes.len());
            ("\u{fffd}".to_owned(), length)
        });
        units.push(Unit {
            text,
            bytes: length,
            invalid,
        });
        bytes = &bytes[length..];
    }
    units
}

fn unfinished(bytes: &[u8]) -> usize {
    match String::from_utf8_lossy(bytes).chars().last() {
        Some('\u{fffd}') => {}
        _ => return 0,
    }
    (1..=3.min(bytes.len()))
        .find(|length| {
            let tail = &bytes[bytes.len() - length..];
            // Some bytes that would make it a character; what may come second depends on the first.
            let rests = [0x80, 0x90, 0xa0].map(|second| [second, 0x80, 0x80]);
            rests.iter().any(|rest| {
                (1..=3).any(|more| {
                    std::str::from_utf8(&[tail, &rest[..more]].concat())
                        .is_ok_and(|text| text.chars().count() == 1)
                })
            })
        })
        .unwrap_or(0)
}
