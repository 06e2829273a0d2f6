//! Records to bytes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::account::{Head, Identity, Part, Print, Span};
use crate::ledger::fates;
use crate::ledger::{Record, Totals};
use crate::target::{GroupClass, Target};

use super::kind;

/// Appends a record to `out`.
pub(in crate::ledger) fn encode(record: &Record, out: &mut Vec<u8>) {
    let mut to = Writer(out);
    match record {
        Record::Found {
            generation,
            identity,
            set,
            path,
            target,
            from,
            at_ms,
        } => {
            to.byte(kind::FOUND);
            to.number(generation.0);
            to.identity(identity);
            to.bytes(set.as_bytes());
            to.path(path);
            to.target(target);
            to.number(*from);
            to.time(*at_ms);
        }
        Record::Continued {
            generation,
            identity,
            set,
            path,
            target,
            from,
            at_ms,
        } => {
            to.byte(kind::CONTINUED);
            to.number(generation.0);
            to.identity(identity);
            to.bytes(set.as_bytes());
            to.path(path);
            to.target(target);
            to.number(*from);
            to.time(*at_ms);
        }
        Record::Identified { generation, head } => {
            to.byte(kind::IDENTIFIED);
            to.number(generation.0);
            to.head(*head);
        }
        Record::Printed { generation, print } => {
            to.byte(kind::PRINTED);
            to.number(generation.0);
            to.print(print);
        }
        Record::Moved { generation, path } => {
            to.byte(kind::MOVED);
            to.number(generation.0);
            to.path(path);
        }
        Record::Aimed { generation, target } => {
            to.byte(kind::AIMED);
            to.number(generation.0);
            to.target(target);
        }
        Record::Seen { generation, size } => {
            to.byte(kind::SEEN);
            to.number(generation.0);
            to.number(*size);
        }
        Record::Ended { generation, size } => {
            to.byte(kind::ENDED);
            to.number(generation.0);
            to.number(*size);
        }
        Record::Forgotten { generation } => {
            to.byte(kind::FORGOTTEN);
            to.number(generation.0);
        }
        Record::Intent(intent) => {
            to.byte(kind::INTENT);
            to.number(intent.batch.0);
            to.target(&intent.target);
            to.parts(&intent.parts);
            to.time(intent.first_ms);
            to.time(intent.last_ms);
            to.0.extend_from_slice(&intent.sha256);
            to.time(intent.sent_ms);
        }
        Record::Landed(landing) => {
            to.byte(kind::LANDED);
            to.number(landing.batch.0);
            to.parts(&landing.parts);
            to.number(landing.events);
            to.time(landing.at_ms);
        }
        Record::Withdrawn { batch } => {
            to.byte(kind::WITHDRAWN);
            to.number(batch.0);
        }
        Record::Settled { span, fate } => {
            to.byte(kind::SETTLED);
            to.span(span);
            to.byte(fates::code(*fate));
        }
        Record::Refused { count, what, at_ms } => {
            to.byte(kind::REFUSED);
            to.number(*count);
            to.bytes(what.as_bytes());
            to.time(*at_ms);
        }
        Record::Counters {
            next_generation,
            next_batch,
            events,
        } => {
            to.byte(kind::COUNTERS);
            to.number(*next_generation);
            to.number(*next_batch);
            to.number(*events);
        }
        Record::Retired {
            set,
            generations,
            totals,
        } => {
            to.byte(kind::RETIRED);
            to.bytes(set.as_bytes());
            to.number(*generations);
            to.totals(totals);
        }
        Record::Carried(carried) => {
            // The older kind wherever it says all: so older agents go on with most ledgers of newer ones.
            match carried.base {
                0 => to.byte(kind::CARRIED),
                base => {
                    to.byte(kind::CARRIED_ON);
                    to.number(base);
                }
            }
            to.number(carried.generation.0);
            to.identity(&carried.identity);
            to.bytes(carried.set.as_bytes());
            to.path(&carried.path);
            to.target(&carried.target);
            to.number(carried.seen);
            to.byte(u8::from(carried.ended));
            to.number(carried.settled.len() as u64);
            for (start, end) in &carried.settled {
                to.number(*start);
                to.number(end - start);
            }
            to.totals(&carried.totals);
            to.time(carried.last_ms);
        }
        Record::Recent { target, batches } => {
            to.byte(kind::RECENT);
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

    /// Bit 32 of the length says that the first position follows.
    fn head(&mut self, head: Head) {
        let begins_later = u64::from(head.start > 0) << 32;
        self.number(u64::from(head.bytes) | begins_later);
        if head.start > 0 {
            self.number(head.start);
        }
        self.0.extend_from_slice(&head.hash.to_le_bytes());
    }

    fn print(&mut self, print: &Print) {
        self.option(print.born_ns, Self::time);
        self.option(print.modified_ns, Self::time);
        self.option(print.moved_to, |to, (device, inode)| {
            to.number(device);
            to.number(inode);
        });
        self.number(print.base);
        self.number(print.marks.len() as u64);
        let mut from = print.base;
        for mark in &print.marks {
            self.number(mark.to.saturating_sub(from));
            self.0.extend_from_slice(&mark.crc.to_le_bytes());
            from = mark.to;
        }
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
            GroupClass::Essentials => 2,
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
