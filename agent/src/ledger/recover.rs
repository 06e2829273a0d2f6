//! What two segments together mean: a pure decision.

use super::State;
use super::medium::Slot;
use super::record::Record;
use super::segment::{self, Header, Page, Scan};

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

    if let (None, None) = (a, b) {
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

    let other = slot.other();
    let Scan {
        records,
        damaged_at,
    } = segment::scan(bytes, header);
    if records.is_empty() && damaged_at.is_none() && pages[other.index()].2.is_none() {
        // The beginning of a ledger was cut short, before anything was written down.
        return Found::Nothing;
    }
    let mut state = State::default();
    let refused = fold(&mut state, &records);
    let why = match (damaged_at, refused, &pages[other.index()].2) {
        (_, Some(contradiction), _) => Some(format!(
            "{} contradicts itself: {contradiction}",
            slot.file()
        )),
        _ if (bytes.len() as u64) < header.size => Some(format!(
            "{} has been cut to {} of {} bytes",
            slot.file(),
            bytes.len(),
            header.size
        )),
        (Some(at), None, _) => Some(format!(
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
        },
    }
}

fn fold(state: &mut State, records: &[Record]) -> Option<super::Contradiction> {
    records.iter().find_map(|record| state.apply(record).err())
}
