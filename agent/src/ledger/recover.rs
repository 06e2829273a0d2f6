//! What two segments together mean: a pure decision.

use super::State;
use super::record::Record;
use super::segment::{self, BODY, Header, Page, Scan, Tail};
use super::store::Slot;

/// What a ledger that was found is worth.
#[derive(Debug)]
pub(super) enum Found {
    /// There is none.
    Nothing,
    /// It is as it was left.
    Whole {
        /// Where it is.
        slot: Slot,
        /// Its header.
        header: Header,
        /// What it says.
        state: State,
        /// Where to append.
        end: u64,
        /// Up to where a torn write has to be erased first.
        erase_to: u64,
    },
    /// It can't be trusted, but this much of it is certainly true.
    Damaged {
        /// In which way, for people.
        why: String,
        /// The part that holds.
        state: State,
        /// Whose it was, if that can be read.
        instance_id: Option<String>,
        /// The highest epoch that was read.
        epoch: u64,
        /// The segment that held most.
        best: Slot,
    },
}

/// Judges the two segments, each `None` when there is no such file.
///
/// Of a damaged ledger, what stands before the damage in the newer segment is kept. All of it is true, and no later
/// truth contradicts it: bytes that it takes for pending may be settled by now, never the other way round. When only the
/// older segment can be read, the same holds for that.
pub(super) fn recover(a: Option<&[u8]>, b: Option<&[u8]>) -> Found {
    let segments = [(Slot::A, a), (Slot::B, b)];
    let pages = segments.map(|(slot, bytes)| (slot, bytes, bytes.map(segment::page)));

    // The second is what the creation of a ledger leaves when it is cut short.
    if let (None, None | Some(Page::Blank)) = (&pages[0].2, &pages[1].2) {
        return Found::Nothing;
    }
    for (slot, _, page) in &pages {
        if let Some(Page::Future(version)) = page {
            return Found::Damaged {
                why: format!(
                    "{} is of version {version}, written by a newer agent; this one reads version {}",
                    slot.file(),
                    segment::VERSION
                ),
                state: State::default(),
                instance_id: None,
                epoch: 0,
                best: *slot,
            };
        }
    }
    let newest = pages
        .iter()
        .filter_map(|(slot, bytes, page)| match (bytes, page) {
            (Some(bytes), Some(Page::Valid(header))) => Some((*slot, *bytes, header)),
            _ => None,
        })
        .max_by_key(|(_, _, header)| header.epoch);
    let Some((slot, bytes, header)) = newest else {
        return Found::Damaged {
            why: "no segment has a header that can be read".to_owned(),
            state: State::default(),
            instance_id: None,
            epoch: 0,
            best: Slot::A,
        };
    };

    let Scan { records, end, tail } = segment::scan(bytes, header);
    let mut state = State::default();
    let refused = fold(&mut state, &records);
    let other = slot.other();
    let why = match (&tail, refused, &pages[other.index()].2) {
        (_, Some(contradiction), _) => Some(format!(
            "{} contradicts itself: {contradiction}",
            slot.file()
        )),
        (Tail::Damaged { at }, None, _) => Some(format!(
            "{} is damaged at byte {at} of {}",
            slot.file(),
            bytes.len()
        )),
        (_, None, Some(Page::Damaged)) => {
            Some(format!("the header of {} is damaged", other.file()))
        }
        (_, None, None) => Some(format!("{} is missing", other.file())),
        (_, None, Some(Page::Blank | Page::Valid(_) | Page::Future(_))) => None,
    };
    match why {
        Some(why) => Found::Damaged {
            why,
            state,
            instance_id: Some(header.instance_id.clone()),
            epoch: header.epoch,
            best: slot,
        },
        None => Found::Whole {
            slot,
            header: header.clone(),
            state,
            end: end.max(BODY),
            erase_to: match tail {
                Tail::Torn { end } => end,
                Tail::Clean | Tail::Damaged { .. } => 0,
            },
        },
    }
}

fn fold(state: &mut State, records: &[Record]) -> Option<super::Contradiction> {
    records.iter().find_map(|record| state.apply(record).err())
}
