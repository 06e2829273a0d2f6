//! Finding a spool.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use super::{MIN_SEGMENTS, SEGMENT_BYTES, Segment, Shelf, Spool};
use crate::spool::book::Book;
use crate::spool::codec::{Decoder, Encoder, Record};
use crate::spool::segment::{self, Header, Page};
use crate::spool::{Dropped, Reading};

/// How a spool was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whose metrics were on this disk, where they are another instance's: they are not sent.
    pub other_instance: Option<String>,
    /// Segments of a later version, or that are none, and where they are kept.
    pub set_aside: Vec<PathBuf>,
    /// Places that hold nothing that could be read, and must have held something.
    pub damaged: u64,
    /// Why the disk can't be used; the spool is in memory then.
    pub unusable: Option<String>,
}

/// What a segment tells.
#[derive(Default)]
struct Told {
    decoder: Decoder,
    end: u64,
    damaged: u64,
    /// Number and points of each of its readings.
    readings: Vec<(u64, u64)>,
    /// When the last of them was measured.
    newest_ms: Option<i64>,
    /// What became of readings, in order.
    events: Vec<Record>,
}

impl Spool {
    /// Opens what is on the shelf, or begins anew; takes so much room there at most. Never fails: without a disk, it is held in memory.
    #[must_use]
    pub fn open(shelf: Box<dyn Shelf>, instance_id: &str, limit_bytes: u64) -> (Spool, Found) {
        Spool::open_in(shelf, instance_id, limit_bytes, SEGMENT_BYTES)
    }

    /// The same with segments of another size.
    pub(in crate::spool) fn open_in(
        mut shelf: Box<dyn Shelf>,
        instance_id: &str,
        limit_bytes: u64,
        segment_bytes: u64,
    ) -> (Spool, Found) {
        let mut found = Found::default();
        let mut dropped = Dropped::default();
        let mut spare = Vec::new();
        let mut ours: Vec<(Header, u32, Told)> = Vec::new();
        match shelf.slots() {
            Err(error) => found.unusable = Some(error.to_string()),
            Ok(slots) => {
                for slot in slots {
                    let owner = (instance_id, segment_bytes);
                    match look(shelf.as_mut(), slot, owner, &mut found, &mut dropped) {
                        Ok(Look::Ours(header, told)) => ours.push((header, slot, told)),
                        Ok(Look::Free) => spare.push(slot),
                        Ok(Look::Gone) => {}
                        Err(error) => found.unusable = Some(error.to_string()),
                    }
                }
            }
        }
        ours.sort_by_key(|(header, ..)| header.epoch);

        let max_segments = (limit_bytes / segment_bytes).max(MIN_SEGMENTS) as usize;
        let mut spool = Spool {
            shelf,
            instance_id: instance_id.to_owned(),
            segment_bytes,
            max_segments,
            segments: VecDeque::new(),
            spare,
            encoder: Encoder::default(),
            book: Book::default(),
            next_seq: 1,
            window: VecDeque::new(),
            window_points: 0,
            loaded_through: 0,
            unwritten: VecDeque::new(),
            unwritten_points: 0,
            unsynced: false,
            points: 0,
            dropped,
            trouble: found.unusable.clone(),
            newest_ms: None,
        };
        spool.resume(ours, &mut found);
        (spool, found)
    }

    fn resume(&mut self, ours: Vec<(Header, u32, Told)>, found: &mut Found) {
        if let Some((first, ..)) = ours.first() {
            self.book.forget(first.next_seq.saturating_sub(1));
        }
        let through = ours.iter().map(|(header, ..)| header.through).max();
        self.book.forget(through.unwrap_or(0));
        let mut readings = Vec::new();
        for (header, slot, told) in ours {
            let last = told.readings.last().map(|(seq, _)| *seq);
            self.next_seq = self
                .next_seq
                .max(header.next_seq)
                .max(last.map_or(0, |last| last + 1));
            for event in &told.events {
                match event {
                    Record::Intent(range) => self.book.intend(*range),
                    Record::Withdrawn(range) => self.book.withdraw(*range),
                    Record::Settled(range, _) => self.book.settle(*range),
                    Record::Through(seq) => drop(self.book.forget(*seq)),
                    Record::Scope(_) | Record::Reading(_) => continue,
                }
            }
            readings.extend(&told.readings);
            found.damaged += told.damaged;
            let before = Some(header.newest_ms).filter(|at| *at > i64::MIN);
            self.newest_ms = told.newest_ms.or(before).or(self.newest_ms);
            self.dropped.damaged += told.decoder.unnamed;
            let whole = told.damaged == 0 && told.decoder.unnamed == 0;
            self.segments.push_back(Segment {
                slot,
                epoch: header.epoch,
                last_seq: last.unwrap_or(header.next_seq.saturating_sub(1)),
                // One that is damaged is not gone on with: its names are not certain.
                end: if whole { told.end } else { self.segment_bytes },
            });
            let (names, scope) = told.decoder.into_parts();
            self.encoder = Encoder::with(names.into_iter().map(|(number, it)| (it, number)), scope);
        }
        self.next_seq = self.next_seq.max(self.book.packed_through() + 1);
        let through = self.book.through();
        self.points = readings
            .iter()
            .filter(|(seq, _)| *seq > through)
            .map(|(_, points)| points)
            .sum();
        self.loaded_through = through;
        // What was read may be in the system's memory only.
        self.unsynced = !self.segments.is_empty();
        self.refill();
        self.release();
    }
}

enum Look {
    Ours(Header, Told),
    Free,
    Gone,
}

fn look(
    shelf: &mut dyn Shelf,
    slot: u32,
    (instance_id, segment_bytes): (&str, u64),
    found: &mut Found,
    dropped: &mut Dropped,
) -> io::Result<Look> {
    let mut bytes = shelf.read(slot)?;
    let short = (bytes.len() as u64) < segment_bytes;
    match segment::page(&bytes) {
        Page::Valid(header) => {
            // One that was cut off is read, and has room for nothing.
            bytes.resize((segment_bytes as usize).max(bytes.len()), 0);
            let mut told = told(&bytes, header.epoch);
            if short {
                told.end = segment_bytes;
            }
            if header.instance_id == instance_id {
                return Ok(Look::Ours(header, told));
            }
            dropped.other_instance += told.readings.iter().map(|(_, points)| points).sum::<u64>();
            found.other_instance = Some(header.instance_id);
            shelf.remove(slot)?;
            Ok(Look::Gone)
        }
        Page::Blank if !short => Ok(Look::Free),
        Page::Blank => shelf.remove(slot).map(|()| Look::Gone),
        Page::Future(_) | Page::Damaged => {
            found.set_aside.push(shelf.set_aside(slot)?);
            Ok(Look::Gone)
        }
    }
}

fn told(bytes: &[u8], epoch: u64) -> Told {
    let mut told = Told::default();
    let scan = segment::scan(bytes, epoch);
    (told.end, told.damaged) = (scan.end, scan.damaged);
    for frame in scan.frames {
        match told.decoder.decode(frame) {
            None => told.damaged += 1,
            Some(records) => {
                for record in records {
                    match record {
                        Record::Reading(Reading {
                            seq, at_ms, values, ..
                        }) => {
                            told.newest_ms = Some(at_ms);
                            told.readings.push((seq, values.len() as u64));
                        }
                        event => told.events.push(event),
                    }
                }
            }
        }
    }
    told
}
