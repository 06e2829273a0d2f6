//! The names that rotation gives to old copies, and the order they stand in. Pure.

use std::cmp::Ordering;

/// How a rotated copy is packed, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Packing {
    /// gzip: readable.
    Gzip,
    /// A format that is known, but can't be read; its name.
    Unreadable(&'static str),
}

/// Endings of compressed copies (logrotate's `compresscmd` in practice).
const PACKINGS: [(&[u8], Packing); 6] = [
    (b".gz", Packing::Gzip),
    (b".bz2", Packing::Unreadable("bzip2")),
    (b".xz", Packing::Unreadable("xz")),
    (b".zst", Packing::Unreadable("zstd")),
    (b".lz4", Packing::Unreadable("lz4")),
    (b".Z", Packing::Unreadable("compress")),
];

/// What puts rotated copies of a file in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rank {
    /// `.1`, `.2`: the higher, the older.
    Number(u32),
    /// The digits of a date or time: the later, the newer.
    Date(Box<[u8]>),
}

/// What a name says, if it is read as that of a rotated copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The name of the file that it is a copy of.
    pub(crate) base: Vec<u8>,
    pub(crate) rank: Rank,
    pub(crate) packing: Option<Packing>,
}

/// The packing that a name tells, and the name without it.
pub(crate) fn packing(name: &[u8]) -> (&[u8], Option<Packing>) {
    PACKINGS
        .iter()
        .find_map(|&(ending, packing)| {
            name.strip_suffix(ending)
                .filter(|rest| !rest.is_empty())
                .map(|rest| (rest, Some(packing)))
        })
        .unwrap_or((name, None))
}

/// Every way in which a name can be that of a rotated copy: `base.1`, `base-20260101`, `base.1.gz`, and with logrotate's
/// `extension` or a logging library `stem-20260101.log`. A name such as `node-1.2` has two.
pub(crate) fn readings(name: &[u8]) -> Vec<Reading> {
    let (bare, packing) = packing(name);
    let mut found = Vec::new();
    if packing.is_some() {
        found.push(Reading {
            base: bare.to_vec(),
            rank: Rank::Number(0),
            packing,
        });
    }
    for (stem, rank) in stems(bare) {
        found.push(Reading {
            base: stem.to_vec(),
            rank,
            packing,
        });
    }
    if let Some(dot) = bare.iter().rposition(|&byte| byte == b'.') {
        let (front, extension) = bare.split_at(dot);
        if extension.len() > 1 && !extension[1..].iter().all(u8::is_ascii_digit) {
            for (stem, rank) in stems(front) {
                found.push(Reading {
                    base: [stem, extension].concat(),
                    rank,
                    packing,
                });
            }
        }
    }
    found
}

/// The splits of a name into a stem and what rotation appended to it.
fn stems(name: &[u8]) -> impl Iterator<Item = (&[u8], Rank)> {
    let run = name
        .iter()
        .rposition(|byte| !byte.is_ascii_digit() && !b"-._:T".contains(byte))
        .map_or(0, |last| last + 1);
    (run..name.len())
        .filter(|&at| at > 0 && b"-._".contains(&name[at]))
        .filter_map(|at| Some((&name[..at], rank(&name[at..])?)))
        .chain(
            name.strip_suffix(b".old")
                .map(|stem| (stem, Rank::Number(1))),
        )
        .filter(|(stem, _)| !stem.is_empty())
}

/// What an appended part says: a number of up to four digits after a dot, or at least eight digits of a date.
fn rank(appended: &[u8]) -> Option<Rank> {
    let digits: Vec<u8> = appended
        .iter()
        .copied()
        .filter(u8::is_ascii_digit)
        .collect();
    if appended[0] == b'.' && digits.len() + 1 == appended.len() && (1..=4).contains(&digits.len())
    {
        let number = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        return Some(Rank::Number(number));
    }
    (digits.len() >= 8 && appended.last().is_some_and(u8::is_ascii_digit))
        .then(|| Rank::Date(digits.into()))
}

/// Something that can be put in rotation order.
pub(crate) trait Ranked {
    fn rank(&self) -> &Rank;
    fn is_packed(&self) -> bool;
    /// When its content was last written; compression keeps it.
    fn modified(&self) -> (i64, i64);
}

/// Puts rotated copies of one file in order, oldest first. One style of names decides by itself; where styles are mixed
/// (a configuration that was changed), the times of the last write do.
pub(crate) fn oldest_first<T: Ranked>(copies: &mut [T]) {
    let numbers = copies.iter().all(|c| matches!(c.rank(), Rank::Number(_)));
    let dates = copies.iter().all(|c| matches!(c.rank(), Rank::Date(_)));
    copies.sort_by(|a, b| {
        let by_name = match (a.rank(), b.rank()) {
            (Rank::Number(a), Rank::Number(b)) if numbers => b.cmp(a),
            (Rank::Date(a), Rank::Date(b)) if dates => a.cmp(b),
            _ => Ordering::Equal,
        };
        by_name
            .then_with(|| {
                // While one is being compressed both stand there; the packed one is no newer.
                if numbers || dates {
                    b.is_packed().cmp(&a.is_packed())
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| a.modified().cmp(&b.modified()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(name: &str) -> Vec<String> {
        readings(name.as_bytes())
            .into_iter()
            .map(|reading| String::from_utf8_lossy(&reading.base).into_owned())
            .collect()
    }

    #[test]
    fn logrotates_names_lead_back_to_the_file() {
        for name in [
            "access.log.1",
            "access.log.2.gz",
            "access.log-20260101",
            "access.log-20260101.gz",
            "access.log-20260101-1700000000.gz",
            "access.log-2026-01-01.xz",
            "access.log.2026-01-01T10:00:00",
            "access.log.gz",
            "access.log.old",
            "access-20260101.log",
            "access.1.log",
            "access-20260101.log.zst",
        ] {
            assert!(
                bases(name).contains(&"access.log".to_owned()),
                "{name}: {:?}",
                bases(name)
            );
        }
    }

    #[test]
    fn a_live_files_name_is_no_copys() {
        for name in [
            "access.log",
            "syslog",
            "error.log",
            "app",
            "access.log.bak",
            ".1",
            "12345678",
        ] {
            assert!(bases(name).is_empty(), "{name}: {:?}", bases(name));
        }
    }

    #[test]
    fn the_splits_of_a_name_with_numbers_are_all_tried() {
        assert_eq!(bases("node1.log.3"), ["node1.log"]);
        assert_eq!(bases("app-1.2"), ["app-1"]);
    }

    struct Copy(Rank, bool, i64);
    impl Ranked for Copy {
        fn rank(&self) -> &Rank {
            &self.0
        }
        fn is_packed(&self) -> bool {
            self.1
        }
        fn modified(&self) -> (i64, i64) {
            (self.2, 0)
        }
    }

    #[test]
    fn numbers_count_backwards_and_dates_forwards() {
        let mut numbers = [
            Copy(Rank::Number(1), false, 5),
            Copy(Rank::Number(10), true, 9),
            Copy(Rank::Number(2), true, 7),
        ];
        oldest_first(&mut numbers);
        assert_eq!(numbers.map(|c| c.2), [9, 7, 5]);
        let mut dates = [
            Copy(Rank::Date((*b"20260102").into()), false, 1),
            Copy(Rank::Date((*b"20260101").into()), true, 2),
        ];
        oldest_first(&mut dates);
        assert_eq!(dates.map(|c| c.2), [2, 1]);
        let mut mixed = [
            Copy(Rank::Date((*b"20260102").into()), false, 8),
            Copy(Rank::Number(1), false, 3),
        ];
        oldest_first(&mut mixed);
        assert_eq!(mixed.map(|c| c.2), [3, 8]);
    }
}
