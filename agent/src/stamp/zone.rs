//! How far local time is from UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::calendar::{self, DAY_S};

/// Zones change their offset at a quarter of an hour; what holds at both ends of one holds in it.
const QUARTER_S: i64 = 15 * 60;

/// The offsets that a local time may have, in seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offset {
    One(i32),
    /// The hour that comes twice when clocks are put back.
    Twice {
        first: i32,
        second: i32,
    },
}

/// A zone, and what it was last asked.
#[derive(Debug)]
pub(super) struct Zone {
    zone: TimeZone,
    /// Of a zone that never changes.
    fixed: Option<i32>,
    /// A quarter of an hour of local time, and the offset in all of it.
    last: Option<(i64, i32)>,
}

impl Zone {
    pub(super) fn new(zone: TimeZone) -> Self {
        let fixed = zone.to_fixed_offset().ok().map(|offset| offset.seconds());
        Self {
            zone,
            fixed,
            last: None,
        }
    }

    /// The offset at a local time, given as seconds since 1970-01-01 as if it were UTC. `None` beyond the years 0 to 9999.
    ///
    /// A time that clocks skip is taken as if they had not been put forward yet.
    #[inline]
    pub(super) fn at_local(&mut self, local_s: i64) -> Option<Offset> {
        if let Some(fixed) = self.fixed {
            return Some(Offset::One(fixed));
        }
        let quarter = local_s.div_euclid(QUARTER_S);
        if let Some((known, offset)) = self.last
            && known == quarter
        {
            return Some(Offset::One(offset));
        }
        let start = quarter * QUARTER_S;
        let (first, last) = (self.look_up(start)?, self.look_up(start + QUARTER_S - 1)?);
        match (offset(first), offset(last)) {
            (Offset::One(one), Offset::One(same)) if one == same => {
                self.last = Some((quarter, one));
                Some(Offset::One(one))
            }
            _ => self.look_up(local_s).map(offset),
        }
    }

    fn look_up(&self, local_s: i64) -> Option<AmbiguousOffset> {
        Some(self.zone.to_ambiguous_timestamp(civil(local_s)?).offset())
    }

    /// The offset at an instant; zero beyond the years 0 to 9999.
    pub(super) fn at(&self, unix_s: i64) -> i32 {
        Timestamp::from_second(unix_s).map_or(0, |at| self.zone.to_offset(at).seconds())
    }

    /// Whether the zone goes by that name at an instant.
    pub(super) fn is_called(&self, name: &str, unix_s: i64) -> bool {
        Timestamp::from_second(unix_s)
            .is_ok_and(|at| self.zone.to_offset_info(at).abbreviation() == name)
    }
}

fn offset(ambiguous: AmbiguousOffset) -> Offset {
    match ambiguous {
        AmbiguousOffset::Unambiguous { offset } => Offset::One(offset.seconds()),
        AmbiguousOffset::Gap { before, .. } => Offset::One(before.seconds()),
        AmbiguousOffset::Fold { before, after } => Offset::Twice {
            first: before.seconds(),
            second: after.seconds(),
        },
    }
}

fn civil(local_s: i64) -> Option<DateTime> {
    let (year, month, day) = calendar::date(local_s.div_euclid(DAY_S));
    let second = local_s.rem_euclid(DAY_S);
    // All of them are below 60.
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    DateTime::new(
        i16::try_from(year).ok()?,
        month as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        0,
    )
    .ok()
}

/// The offset of a zone that is known by its short name everywhere, in seconds east of UTC.
///
/// The names of RFC 822, and those in the tz database that mean one offset only.
pub(super) fn named(name: &str) -> Option<i32> {
    let hours = match name {
        "UTC" | "GMT" | "UT" | "Z" | "z" | "WET" => 0,
        "WEST" | "CET" => 1,
        "CEST" | "EET" | "SAST" | "CAT" => 2,
        "EEST" | "MSK" | "EAT" => 3,
        "PKT" => 5,
        "WIB" => 7,
        "AWST" | "HKT" => 8,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        "NZST" => 12,
        "NZDT" => 13,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" | "AKDT" => -8,
        "AKST" => -9,
        "HST" => -10,
        _ => return None,
    };
    Some(hours * 3600)
}
