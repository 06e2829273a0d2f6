//! Records as bytes: little-endian base-128 integers, strings with their length, nothing that depends on the machine.
//!
//! A metric is spelled out where a segment first names it, with a number by which it is called from there on. Reading never panics, and
//! believes no count further than the bytes that are there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Fate, Range, Reading, Scope, Series};

/// The longest name or value; longer than any that CloudWatch takes.
const MAX_TEXT_BYTES: u64 = 4096;

/// What stands in a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// About which host the readings are that follow.
    Scope(Arc<Scope>),
    /// What was measured.
    Reading(Reading),
    /// A request is about to leave.
    Intent(Range),
    /// It has not arrived, for certain.
    Withdrawn(Range),
    /// It has met its fate.
    Settled(Range, Fate),
    /// Readings up to this number are settled, whatever other segments say.
    Through(u64),
}

const SCOPE: u64 = 1;
const READING: u64 = 2;
const INTENT: u64 = 3;
const WITHDRAWN: u64 = 4;
const SETTLED: u64 = 5;
const THROUGH: u64 = 6;

/// What a segment has named so far.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    numbers: HashMap<Arc<Series>, u64>,
    scope: Option<Arc<Scope>>,
}

impl Encoder {
    /// One that has named these already.
    pub(super) fn with(
        numbers: impl Iterator<Item = (Arc<Series>, u64)>,
        scope: Option<Arc<Scope>>,
    ) -> Encoder {
        Encoder {
            numbers: numbers.collect(),
            scope,
        }
    }

    /// The one copy of a metric that is kept.
    pub(super) fn intern(&self, series: Series) -> Arc<Series> {
        match self.numbers.get_key_value(&series) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(series),
        }
    }

    /// Whether the readings that follow are about this host.
    pub(super) fn is_about(&self, scope: &Scope) -> bool {
        self.scope.as_deref() == Some(scope)
    }

    /// Where to come back to when what is encoded now can't be written.
    pub(super) fn mark(&self) -> (usize, Option<Arc<Scope>>) {
        (self.numbers.len(), self.scope.clone())
    }

    /// Forgets what was named since then.
    pub(super) fn back_to(&mut self, mark: (usize, Option<Arc<Scope>>)) {
        self.numbers.retain(|_, number| *number < mark.0 as u64);
        self.scope = mark.1;
    }

    pub(super) fn encode(&mut self, record: &Record, out: &mut Vec<u8>) {
        match record {
            Record::Scope(scope) => {
                number(out, SCOPE);
                text(out, &scope.namespace);
                number(out, scope.resolution_s.into());
                number(out, scope.dimensions.len() as u64);
                for (name, value) in &scope.dimensions {
                    text(out, name);
                    text(out, value);
                }
                number(out, scope.rollups.len() as u64);
                for names in &scope.rollups {
                    number(out, names.len() as u64);
                    names.iter().for_each(|name| text(out, name));
                }
                self.scope = Some(Arc::clone(scope));
            }
            Record::Reading(reading) => {
                number(out, READING);
                number(out, reading.seq);
                number(out, zigzag(reading.at_ms));
                number(out, reading.values.len() as u64);
                for (series, value) in &reading.values {
                    self.series(series, out);
                    // Whole numbers end in zeros, and so have few digits when they are turned round.
                    number(out, value.to_bits().swap_bytes());
                }
            }
            Record::Intent(it) => {
                number(out, INTENT);
                range(out, *it);
            }
            Record::Withdrawn(it) => {
                number(out, WITHDRAWN);
                range(out, *it);
            }
            Record::Through(seq) => {
                number(out, THROUGH);
                number(out, *seq);
            }
            Record::Settled(it, fate) => {
                number(out, SETTLED);
                range(out, *it);
                number(
                    out,
                    match fate {
                        Fate::Taken => 0,
                        Fate::Rejected => 1,
                        Fate::TooOld => 2,
                    },
                );
            }
        }
    }

    fn series(&mut self, series: &Arc<Series>, out: &mut Vec<u8>) {
        if let Some(known) = self.numbers.get(series) {
            return number(out, known << 1);
        }
        let new = self.numbers.len() as u64;
        self.numbers.insert(Arc::clone(series), new);
        number(out, new << 1 | 1);
        text(out, &series.name);
        text(out, &series.unit);
        number(out, series.labels.len() as u64);
        for (name, value) in &series.labels {
            text(out, name);
            text(out, value);
        }
    }
}

/// What a segment has named so far, when it is read.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    names: HashMap<u64, Arc<Series>>,
    scope: Option<Arc<Scope>>,
    /// Points that can't be told because what names them is lost.
    pub(super) unnamed: u64,
}

impl Decoder {
    /// What was named, by number, and the host that was told last.
    pub(super) fn into_parts(self) -> (HashMap<u64, Arc<Series>>, Option<Arc<Scope>>) {
        (self.names, self.scope)
    }

    /// The records of one frame; none if it is not understood.
    pub(super) fn decode(&mut self, mut bytes: &[u8]) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            records.push(self.record(&mut bytes)?);
        }
        Some(records)
    }

    fn record(&mut self, bytes: &mut &[u8]) -> Option<Record> {
        Some(match take(bytes)? {
            SCOPE => {
                let scope = Arc::new(scope(bytes)?);
                self.scope = Some(Arc::clone(&scope));
                Record::Scope(scope)
            }
            READING => Record::Reading(self.reading(bytes)?),
            INTENT => Record::Intent(take_range(bytes)?),
            WITHDRAWN => Record::Withdrawn(take_range(bytes)?),
            THROUGH => Record::Through(take(bytes)?),
            SETTLED => {
                let range = take_range(bytes)?;
                let fate = match take(bytes)? {
                    0 => Fate::Taken,
                    1 => Fate::Rejected,
                    2 => Fate::TooOld,
                    _ => return None,
                };
                Record::Settled(range, fate)
            }
            _ => return None,
        })
    }

    fn reading(&mut self, bytes: &mut &[u8]) -> Option<Reading> {
        let seq = take(bytes)?;
        let at_ms = unzigzag(take(bytes)?);
        let count = take_count(bytes)?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let series = self.named(bytes)?;
            let value = f64::from_bits(take(bytes)?.swap_bytes());
            match series {
                Some(series) => values.push((series, value)),
                None => self.unnamed += 1,
            }
        }
        let scope = self.scope.clone().unwrap_or_else(|| {
            // What told the host is lost: nothing is sent under a name that is guessed.
            self.unnamed += values.len() as u64;
            values.clear();
            Arc::default()
        });
        Some(Reading {
            seq,
            at_ms,
            scope,
            values,
        })
    }

    /// A metric; `Some(None)` where its name is lost.
    fn named(&mut self, bytes: &mut &[u8]) -> Option<Option<Arc<Series>>> {
        let head = take(bytes)?;
        if head & 1 == 0 {
            return Some(self.names.get(&(head >> 1)).cloned());
        }
        let name = Cow::Owned(take_text(bytes)?);
        let unit = Cow::Owned(take_text(bytes)?);
        let count = take_count(bytes)?;
        let mut labels = Vec::with_capacity(count);
        for _ in 0..count {
            labels.push((Cow::Owned(take_text(bytes)?), Cow::Owned(take_text(bytes)?)));
        }
        let series = Arc::new(Series { name, unit, labels });
        self.names.insert(head >> 1, Arc::clone(&series));
        Some(Some(series))
    }
}

fn scope(bytes: &mut &[u8]) -> Option<Scope> {
    let namespace = take_text(bytes)?;
    let resolution_s = take(bytes)?.try_into().ok()?;
    let count = take_count(bytes)?;
    let mut dimensions = Vec::with_capacity(count);
    for _ in 0..count {
        dimensions.push((take_text(bytes)?, take_text(bytes)?));
    }
    let count = take_count(bytes)?;
    let mut rollups = Vec::with_capacity(count);
    for _ in 0..count {
        let names = take_count(bytes)?;
        rollups.push(
            (0..names)
                .map(|_| take_text(bytes))
                .collect::<Option<Vec<_>>>()?,
        );
    }
    Some(Scope {
        namespace,
        dimensions,
        rollups,
        resolution_s,
    })
}

fn range(out: &mut Vec<u8>, range: Range) {
    number(out, range.first);
    number(out, range.last.saturating_sub(range.first));
    number(out, range.from.into());
    number(out, range.to.into());
    number(out, range.of.into());
}

fn take_range(bytes: &mut &[u8]) -> Option<Range> {
    let first = take(bytes)?;
    let last = first.checked_add(take(bytes)?)?;
    let mut small = || take(bytes)?.try_into().ok();
    Some(Range {
        first,
        last,
        from: small()?,
        to: small()?,
        of: small()?,
    })
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A count of things that have at least a byte each.
fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(take(bytes)?).ok()?;
    (count <= bytes.len()).then_some(count)
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take(bytes)?;
    if length > MAX_TEXT_BYTES {
        return None;
    }
    let (text, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn series() -> impl Strategy<Value = Arc<Series>> {
        (
            "[a-z_]{1,20}",
            prop_oneof![Just("Percent"), Just("Bytes")],
            prop::collection::vec(("[a-z]{1,5}", "[ -~]{0,9}"), 0..3),
        )
            .prop_map(|(name, unit, labels)| {
                Arc::new(Series {
                    name: name.into(),
                    unit: unit.into(),
                    labels: labels
                        .into_iter()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                })
            })
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let scope = Arc::new(Scope {
            namespace: "CWAgent".into(),
            dimensions: vec![("InstanceId".into(), "i-1".into())],
            rollups: vec![vec!["AutoScalingGroupName".into()], vec![]],
            resolution_s: 60,
        });
        let range = (
            any::<u64>(),
            0..9_u64,
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
        )
            .prop_map(|(first, more, from, to, of)| Range {
                first,
                last: first.saturating_add(more),
                from,
                to,
                of,
            });
        let values = prop::collection::vec((series(), any::<f64>()), 0..20);
        let about = Arc::clone(&scope);
        let reading = (any::<u64>(), any::<i64>(), values).prop_map(move |(seq, at_ms, values)| {
            Record::Reading(Reading {
                seq,
                at_ms,
                scope: Arc::clone(&about),
                values,
            })
        });
        let fate = prop_oneof![Just(Fate::Taken), Just(Fate::Rejected), Just(Fate::TooOld)];
        let record = prop_oneof![
            4 => reading,
            1 => range.clone().prop_map(Record::Intent),
            1 => range.clone().prop_map(Record::Withdrawn),
            1 => (range, fate).prop_map(|(range, fate)| Record::Settled(range, fate)),
            1 => any::<u64>().prop_map(Record::Through),
        ];
        prop::collection::vec(record, 0..12).prop_map(move |mut records| {
            records.insert(0, Record::Scope(Arc::clone(&scope)));
            records
        })
    }

    fn bytes(records: &[Record]) -> Vec<u8> {
        let (mut encoder, mut bytes) = (Encoder::default(), Vec::new());
        for record in records {
            encoder.encode(record, &mut bytes);
        }
        bytes
    }

    /// Not a number is equal to itself here.
    fn shown(records: &[Record]) -> String {
        format!("{records:?}")
    }

    proptest! {
        #[test]
        fn records_read_as_they_were_written(records in records()) {
            let read = Decoder::default().decode(&bytes(&records)).unwrap();
            prop_assert_eq!(shown(&read), shown(&records));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Decoder::default().decode(&bytes);
        }

        #[test]
        fn no_changed_byte_makes_the_decoder_panic(records in records(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = bytes(&records);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = Decoder::default().decode(&bytes);
            let _ = Decoder::default().decode(&bytes[..at]);
        }
    }

    #[test]
    fn a_metric_is_spelled_out_once_and_whole_numbers_are_short() {
        let series = Arc::new(Series {
            name: "mem_used_percent".into(),
            unit: "Percent".into(),
            labels: Vec::new(),
        });
        let reading = |seq| {
            Record::Reading(Reading {
                seq,
                at_ms: 0,
                scope: Arc::default(),
                values: vec![(Arc::clone(&series), 42.0)],
            })
        };
        let once = bytes(&[reading(1)]).len();
        let twice = bytes(&[reading(1), reading(2)]).len();
        assert_eq!(
            twice - once,
            8,
            "kind, number, time, count, metric, 3 of the value"
        );
    }

    #[test]
    fn points_whose_name_is_lost_are_counted_and_others_kept() {
        let mut encoder = Encoder::default();
        let named = |name: &'static str| {
            Arc::new(Series {
                name: name.into(),
                unit: "Count".into(),
                labels: Vec::new(),
            })
        };
        let reading = |seq, names: &[&'static str]| {
            Record::Reading(Reading {
                seq,
                at_ms: 0,
                scope: Arc::default(),
                values: names.iter().map(|name| (named(name), 1.5)).collect(),
            })
        };
        let (mut lost, mut kept) = (Vec::new(), Vec::new());
        encoder.encode(&reading(1, &["a"]), &mut lost);
        encoder.encode(&Record::Scope(Arc::default()), &mut kept);
        encoder.encode(&reading(2, &["a", "b"]), &mut kept);
        let mut decoder = Decoder::default();
        let records = decoder.decode(&kept).unwrap();
        let Record::Reading(reading) = &records[1] else {
            panic!("{records:?}")
        };
        assert_eq!(reading.values.len(), 1);
        assert_eq!(reading.values[0].0.name, "b");
        assert_eq!(decoder.unnamed, 1);
    }
}
