//! Bytes to records.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::account::{BatchId, Fate, GenerationId, Head, Identity, Mark, Part, Print, Span};
use crate::ledger::fates;
use crate::ledger::{Carried, Intent, Landing, Record, Totals};
use crate::target::{GroupClass, Target};

use super::kind;

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {0}")]
pub(in crate::ledger) struct Malformed(&'static str);

/// Reads records. Names and targets that come again are shared.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Decoder {
    names: HashSet<Arc<str>>,
    targets: HashSet<Arc<Target>>,
}

impl Decoder {
    /// Reads the records that fill `bytes`, all of it.
    pub(in crate::ledger) fn decode_all(&mut self, bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
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
            kind::FOUND => Record::Found {
                generation: self.generation()?,
                identity: self.identity()?,
                set: self.name()?,
                path: self.path()?,
                target: self.target()?,
                from: self.number()?,
                at_ms: self.time()?,
            },
            kind::CONTINUED => Record::Continued {
                generation: self.generation()?,
                identity: self.identity()?,
                set: self.name()?,
                path: self.path()?,
                target: self.target()?,
                from: self.number()?,
                at_ms: self.time()?,
            },
            kind::IDENTIFIED => Record::Identified {
                generation: self.generation()?,
                head: self.head()?,
            },
            kind::PRINTED => Record::Printed {
                generation: self.generation()?,
                print: Box::new(self.print()?),
            },
            kind::MOVED => Record::Moved {
                generation: self.generation()?,
                path: self.path()?,
            },
            kind::AIMED => Record::Aimed {
                generation: self.generation()?,
                target: self.target()?,
            },
            kind::SEEN => Record::Seen {
                generation: self.generation()?,
                size: self.number()?,
            },
            kind::ENDED => Record::Ended {
                generation: self.generation()?,
                size: self.number()?,
            },
            kind::FORGOTTEN => Record::Forgotten {
                generation: self.generation()?,
            },
            kind::INTENT => Record::Intent(Intent {
                batch: self.batch()?,
                target: self.target()?,
                parts: self.parts()?,
                first_ms: self.time()?,
                last_ms: self.time()?,
                sha256: self.array()?,
                sent_ms: self.time()?,
            }),
            kind::LANDED => Record::Landed(Landing {
                batch: self.batch()?,
                parts: self.parts()?,
                events: self.number()?,
                at_ms: self.time()?,
            }),
            kind::WITHDRAWN => Record::Withdrawn {
                batch: self.batch()?,
            },
            kind::SETTLED => Record::Settled {
                span: self.span()?,
                fate: self.fate()?,
            },
            kind::REFUSED => Record::Refused {
                count: self.number()?,
                what: self.text()?.to_owned(),
                at_ms: self.time()?,
            },
            kind::COUNTERS => Record::Counters {
                next_generation: self.number()?,
                next_batch: self.number()?,
                events: self.number()?,
            },
            kind::RETIRED => Record::Retired {
                set: self.name()?,
                generations: self.number()?,
                totals: self.totals()?,
            },
            kind::CARRIED => Record::Carried(Box::new(self.carried(0)?)),
            kind::CARRIED_ON => {
                let base = self.number()?;
                Record::Carried(Box::new(self.carried(base)?))
            }
            kind::RECENT => Record::Recent {
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

    fn carried(&mut self, base: u64) -> Result<Carried, Malformed> {
        Ok(Carried {
            generation: self.generation()?,
            identity: self.identity()?,
            set: self.name()?,
            path: self.path()?,
            target: self.target()?,
            base,
            seen: self.number()?,
            ended: self.flag()?,
            settled: self.many(Self::run)?,
            totals: self.totals()?,
            last_ms: self.time()?,
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
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    fn many<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
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
        let length = self.number()?;
        let start = match length >> 32 {
            0 => 0,
            1 => self.number()?,
            _ => return Err(Malformed("a head that is too long")),
        };
        Ok(Head {
            start,
            bytes: length as u32,
            hash: u64::from_le_bytes(self.array()?),
        })
    }

    fn print(&mut self) -> Result<Print, Malformed> {
        let born_ns = self.option(Self::time)?;
        let modified_ns = self.option(Self::time)?;
        let moved_to = self.option(|from| Ok((from.number()?, from.number()?)))?;
        let base = self.number()?;
        let mut from = base;
        let marks = self.many(|reader| {
            let to = from
                .checked_add(reader.number()?)
                .ok_or(Malformed("a position above 64 bits"))?;
            from = to;
            let crc = u32::from_le_bytes(reader.array()?);
            Ok(Mark { to, crc })
        })?;
        Ok(Print {
            born_ns,
            modified_ns,
            moved_to,
            base,
            marks,
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
                2 => GroupClass::Essentials,
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

    fn fate(&mut self) -> Result<Fate, Malformed> {
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
