//! Records as bytes: little-endian base-128 integers, strings with their length, nothing that depends on the machine.
//!
//! Reading never panics and never takes more memory than the bytes it was given: a count is believed only as far as
//! the bytes that would have to follow it are there.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{BatchId, GenerationId, Head, Identity, Part, Span};
use crate::target::{GroupClass, Target};

use super::fates;
use super::{Carried, Intent, Landing, Record, Totals};

// Part of the format on disk: none is ever given another meaning.
const FOUND: u8 = 1;
const IDENTIFIED: u8 = 2;
const MOVED: u8 = 3;
const AIMED: u8 = 4;
const SEEN: u8 = 5;
const ENDED: u8 = 6;
const FORGOTTEN: u8 = 7;
const INTENT: u8 = 8;
const LANDED: u8 = 9;
const WITHDRAWN: u8 = 10;
const SETTLED: u8 = 11;
const COUNTERS: u8 = 12;
const RETIRED: u8 = 13;
const CARRIED: u8 = 14;
const RECENT: u8 = 15;

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {0}")]
pub(super) struct Malformed(&'static str);

/// Appends a record to `out`.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let mut to = Writer(out);
    match record {
        Record::Found {
            generation,
            identity,
            set,
            path,
            target,
            from,
        } => {
            to.byte(FOUND);
            to.number(generation.0);
            to.identity(identity);
            to.bytes(set.as_bytes());
            to.path(path);
            to.target(target);
            to.number(*from);
        }
        Record::Identified { generation, head } => {
            to.byte(IDENTIFIED);
            to.number(generation.0);
            to.head(*head);
        }
        Record::Moved { generation, path } => {
            to.byte(MOVED);
            to.number(generation.0);
            to.path(path);
        }
        Record::Aimed { generation, target } => {
            to.byte(AIMED);
            to.number(generation.0);
            to.target(target);
        }
        Record::Seen { generation, size } => {
            to.byte(SEEN);
            to.number(generation.0);
            to.number(*size);
        }
        Record::Ended { generation, size } => {
            to.byte(ENDED);
            to.number(generation.0);
            to.number(*size);
        }
        Record::Forgotten { generation } => {
            to.byte(FORGOTTEN);
            to.number(generation.0);
        }
        Record::Intent(intent) => {
            to.byte(INTENT);
            to.number(intent.batch.0);
            to.target(&intent.target);
            to.parts(&intent.parts);
            to.time(intent.first_ms);
            to.time(intent.last_ms);
            to.0.extend_from_slice(&intent.sha256);
            to.time(intent.sent_ms);
        }
        Record::Landed(landing) => {
            to.byte(LANDED);
            to.number(landing.batch.0);
            to.parts(&landing.parts);
            to.number(landing.events);
            to.time(landing.at_ms);
        }
        Record::Withdrawn { batch } => {
            to.byte(WITHDRAWN);
            to.number(batch.0);
        }
        Record::Settled { span, fate } => {
            to.byte(SETTLED);
            to.span(span);
            to.byte(fates::code(*fate));
        }
        Record::Counters {
            next_generation,
            next_batch,
            events,
        } => {
            to.byte(COUNTERS);
            to.number(*next_generation);
            to.number(*next_batch);
            to.number(*events);
        }
        Record::Retired {
            set,
            generations,
            totals,
        } => {
            to.byte(RETIRED);
            to.bytes(set.as_bytes());
            to.number(*generations);
            to.totals(totals);
        }
        Record::Carried(carried) => {
            to.byte(CARRIED);
            to.number(carried.generation.0);
            to.identity(&carried.identity);
            to.bytes(carried.set.as_bytes());
            to.path(&carried.path);
            to.target(&carried.target);
            to.number(carried.seen);
            to.option(carried.ended, Writer::number);
            to.number(carried.settled.len() as u64);
            for (start, end) in &carried.settled {
                to.number(*start);
                to.number(end - start);
            }
            to.totals(&carried.totals);
            to.option(carried.shipped_ms, Writer::time);
        }
        Record::Recent { target, batches } => {
            to.byte(RECENT);
            to.target(target);
            to.number(batches.len() as u64);
            for (batch, first_ms, last_ms, spans) in batches {
                to.number(batch.0);
                to.time(*first_ms);
                to.time(*last_ms);
                to.number(spans.len() as u64);
                for span in spans {
                    to.span(span);
                }
            }
        }
    }
}

struct Writer<'o>(&'o mut Vec<u8>);

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Zigzag, so that a time shortly before 1970 is short too.
    fn time(&mut self, ms: i64) {
        self.number(((ms << 1) ^ (ms >> 63)) as u64);
    }

    fn option<T>(&mut self, value: Option<T>, write: impl Fn(&mut Self, T)) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                write(self, value);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }

    fn head(&mut self, head: Head) {
        self.number(u64::from(head.bytes));
        self.0.extend_from_slice(&head.hash.to_le_bytes());
    }

    fn identity(&mut self, identity: &Identity) {
        self.number(identity.device);
        self.number(identity.inode);
        self.head(identity.head);
    }

    fn target(&mut self, target: &Target) {
        self.bytes(target.group.as_bytes());
        self.bytes(target.stream.as_bytes());
        self.option(target.retention_days.map(u64::from), Self::number);
        self.byte(match target.class {
            GroupClass::Standard => 0,
            GroupClass::InfrequentAccess => 1,
        });
    }

    fn span(&mut self, span: &Span) {
        self.number(span.generation.0);
        self.number(span.start);
        self.number(span.end.saturating_sub(span.start));
    }

    fn parts(&mut self, parts: &[Part]) {
        self.number(parts.len() as u64);
        for part in parts {
            self.span(&part.span);
            self.number(part.not_shipped.len() as u64);
            for (fate, bytes) in &part.not_shipped {
                self.byte(fates::code(*fate));
                self.number(*bytes);
            }
        }
    }

    fn totals(&mut self, totals: &Totals) {
        self.number(totals.iter().count() as u64);
        for (fate, bytes) in totals.iter() {
            self.byte(fates::code(fate));
            self.number(bytes);
        }
    }
}

/// Reads records. Names and targets that come again are shared.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    names: HashSet<Arc<str>>,
    targets: HashSet<Arc<Target>>,
}

impl Decoder {
    /// Reads the records that fill `bytes`, all of it.
    pub(super) fn decode_all(&mut self, bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
        let mut from = Reader {
            rest: bytes,
            shared: self,
        };
        let mut records = Vec::new();
        while !from.rest.is_empty() {
            records.push(from.record()?);
        }
        Ok(records)
    }
}

struct Reader<'b, 'd> {
    rest: &'b [u8],
    shared: &'d mut Decoder,
}

impl<'b> Reader<'b, '_> {
    fn record(&mut self) -> Result<Record, Malformed> {
        Ok(match self.byte()? {
            FOUND => Record::Found {
                generation: self.generation()?,
                identity: self.identity()?,
                set: self.name()?,
                path: self.path()?,
                target: self.target()?,
                from: self.number()?,
            },
            IDENTIFIED => Record::Identified {
                generation: self.generation()?,
                head: self.head()?,
            },
            MOVED => Record::Moved {
                generation: self.generation()?,
                path: self.path()?,
            },
            AIMED => Record::Aimed {
                generation: self.generation()?,
                target: self.target()?,
            },
            SEEN => Record::Seen {
                generation: self.generation()?,
                size: self.number()?,
            },
            ENDED => Record::Ended {
                generation: self.generation()?,
                size: self.number()?,
            },
            FORGOTTEN => Record::Forgotten {
                generation: self.generation()?,
            },
            INTENT => Record::Intent(Intent {
                batch: self.batch()?,
                target: self.target()?,
                parts: self.parts()?,
                first_ms: self.time()?,
                last_ms: self.time()?,
                sha256: self.array()?,
                sent_ms: self.time()?,
            }),
            LANDED => Record::Landed(Landing {
                batch: self.batch()?,
                parts: self.parts()?,
                events: self.number()?,
                at_ms: self.time()?,
            }),
            WITHDRAWN => Record::Withdrawn {
                batch: self.batch()?,
            },
            SETTLED => Record::Settled {
                span: self.span()?,
                fate: self.fate()?,
            },
            COUNTERS => Record::Counters {
                next_generation: self.number()?,
                next_batch: self.number()?,
                events: self.number()?,
            },
            RETIRED => Record::Retired {
                set: self.name()?,
                generations: self.number()?,
                totals: self.totals()?,
            },
            CARRIED => Record::Carried(Box::new(Carried {
                generation: self.generation()?,
                identity: self.identity()?,
                set: self.name()?,
                path: self.path()?,
                target: self.target()?,
                seen: self.number()?,
                ended: self.option(Self::number)?,
                settled: self.many(Self::run)?,
                totals: self.totals()?,
                shipped_ms: self.option(Self::time)?,
            })),
            RECENT => Record::Recent {
                target: self.target()?,
                batches: self.many(|from| {
                    Ok((
                        from.batch()?,
                        from.time()?,
                        from.time()?,
                        from.many(Self::span)?,
                    ))
                })?,
            },
            _ => return Err(Malformed("an unknown kind")),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed("it breaks off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?
            .try_into()
            .map_err(|_| Malformed("it breaks off"))
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number above 64 bits"))
    }

    fn time(&mut self) -> Result<i64, Malformed> {
        let zigzag = self.number()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn option<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => Ok(Some(read(self)?)),
            _ => Err(Malformed("neither there nor not")),
        }
    }

    fn many<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.number()?;
        // Each takes a byte at least: a count above that can't be true, and reserves nothing.
        if count > self.rest.len() as u64 {
            return Err(Malformed("a count above what follows"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn bytes(&mut self) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed("it breaks off"))?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text that is not UTF-8"))
    }

    fn name(&mut self) -> Result<Arc<str>, Malformed> {
        let name = self.text()?;
        if let Some(known) = self.shared.names.get(name) {
            return Ok(Arc::clone(known));
        }
        let name: Arc<str> = Arc::from(name);
        self.shared.names.insert(Arc::clone(&name));
        Ok(name)
    }

    fn path(&mut self) -> Result<PathBuf, Malformed> {
        Ok(PathBuf::from(OsStr::from_bytes(self.bytes()?)))
    }

    fn generation(&mut self) -> Result<GenerationId, Malformed> {
        self.number().map(GenerationId)
    }

    fn batch(&mut self) -> Result<BatchId, Malformed> {
        self.number().map(BatchId)
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        Ok(Head {
            bytes: u32::try_from(self.number()?)
                .map_err(|_| Malformed("a head that is too long"))?,
            hash: u64::from_le_bytes(self.array()?),
        })
    }

    fn identity(&mut self) -> Result<Identity, Malformed> {
        Ok(Identity {
            device: self.number()?,
            inode: self.number()?,
            head: self.head()?,
        })
    }

    fn target(&mut self) -> Result<Arc<Target>, Malformed> {
        let target = Target {
            group: self.text()?.to_owned(),
            stream: self.text()?.to_owned(),
            retention_days: match self.option(Self::number)? {
                None => None,
                Some(days) => {
                    Some(u32::try_from(days).map_err(|_| Malformed("a retention above 32 bits"))?)
                }
            },
            class: match self.byte()? {
                0 => GroupClass::Standard,
                1 => GroupClass::InfrequentAccess,
                _ => return Err(Malformed("an unknown class")),
            },
        };
        if let Some(known) = self.shared.targets.get(&target) {
            return Ok(Arc::clone(known));
        }
        let target = Arc::new(target);
        self.shared.targets.insert(Arc::clone(&target));
        Ok(target)
    }

    fn run(&mut self) -> Result<(u64, u64), Malformed> {
        let start = self.number()?;
        let end = start
            .checked_add(self.number()?)
            .ok_or(Malformed("a span above 64 bits"))?;
        Ok((start, end))
    }

    fn span(&mut self) -> Result<Span, Malformed> {
        let generation = self.generation()?;
        let (start, end) = self.run()?;
        Ok(Span {
            generation,
            start,
            end,
        })
    }

    fn fate(&mut self) -> Result<crate::account::Fate, Malformed> {
        fates::fate(self.byte()?).ok_or(Malformed("an unknown fate"))
    }

    fn parts(&mut self) -> Result<Vec<Part>, Malformed> {
        self.many(|from| {
            Ok(Part {
                span: from.span()?,
                not_shipped: from.many(|from| Ok((from.fate()?, from.number()?)))?,
            })
        })
    }

    fn totals(&mut self) -> Result<Totals, Malformed> {
        let mut totals = Totals::default();
        for (fate, bytes) in self.many(|from| Ok((from.fate()?, from.number()?)))? {
            totals.count(fate, bytes);
        }
        Ok(totals)
    }
}
