//! What was read from a stamp into one instant.

use super::calendar::{self, DAY_S};
use super::fields::{Date, Fields, Place};
use super::zone::{self, Offset, Zone};

/// A stamp without a year is so far ahead of the time of reading at most, and of the year before otherwise. Lines are written before they
/// are read; but a zone may be set wrongly, and from UTC-12 to UTC+14 it is 26 hours. By how much the clock is ahead that writes them is
/// known, and comes on top ([`Near::ahead_ms`]).
const YEARLESS_AHEAD_S: i64 = 27 * 3600;
/// 29 February is at most so many years from the next (1896 to 1904).
const LEAP_GAP_YEARS: i32 = 8;
/// Lines of several writers are so far out of order at most; one that is further back is in the hour's second pass.
const OUT_OF_ORDER_MS: i64 = 10_000;
/// The last second of the year 9999.
const LAST_S: i64 = 253_402_300_799;

/// What helps to understand a stamp that does not say all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    pub(super) read_ms: i64,
    /// By how much the host's clock, which wrote the stamp, is ahead of that of `read_ms`; not less than zero.
    pub(super) ahead_ms: i64,
    /// The stamp before, and when that was read.
    pub(super) previous: Option<(i64, i64)>,
}

impl Near {
    /// Which of the two instants that a local time means it is, in the hour that comes twice when clocks are put back.
    fn is_second(&self, first_ms: i64, second_ms: i64) -> bool {
        let delay_ms = |instant_ms: i64| self.read_ms.saturating_sub(instant_ms);
        let Some((previous_ms, previous_read_ms)) = self.previous else {
            // Read as it is written, the hour tells; in a file that was written long ago, the first is as good as any.
            let hour_ms = second_ms.saturating_sub(first_ms);
            return (-OUT_OF_ORDER_MS..hour_ms).contains(&delay_ms(second_ms));
        };
        if first_ms < previous_ms.saturating_sub(OUT_OF_ORDER_MS) {
            return true;
        }
        // What is read as late as the line before was: as it is written, or with the delay of a backlog.
        let previous_delay_ms = previous_read_ms.saturating_sub(previous_ms);
        let differs_ms = |instant_ms: i64| delay_ms(instant_ms).abs_diff(previous_delay_ms);
        differs_ms(second_ms) < differs_ms(first_ms)
    }
}

/// The instant that a stamp means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) unix_ms: i64,
    pub(super) depends: Depends,
}

/// What, beside its bytes, made a stamp mean what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depends {
    /// Nothing.
    Nothing,
    /// The year of reading.
    Year,
    /// The day of reading.
    Day,
    /// What was read before, and when: an hour that comes twice.
    Order,
}

impl Resolved {
    /// Whether the same bytes, read at `read_ms`, mean the same instant for sure.
    #[inline]
    pub(super) fn holds(&self, read_ms: i64, ahead_ms: i64) -> bool {
        let within = |behind_s: i64, ahead_s: i64| {
            let ahead_ms = self.unix_ms.saturating_sub(read_ms);
            (-behind_s * 1000..=ahead_s * 1000).contains(&ahead_ms)
        };
        match self.depends {
            Depends::Nothing => true,
            // A day less than decides, because zones are not looked at for it.
            Depends::Year => within(330 * DAY_S, YEARLESS_AHEAD_S - DAY_S + ahead_ms / 1000),
            Depends::Order => false,
            Depends::Day => within(DAY_S / 2 - 3600, DAY_S / 2 - 3600),
        }
    }
}

/// The instant that the fields mean; `None` if there is no such time.
pub(super) fn resolve(
    fields: &Fields,
    text: &[u8],
    zone: &mut Zone,
    near: Near,
) -> Option<Resolved> {
    let sub_ms = i64::from(fields.nanosecond / 1_000_000);
    if let Some(epoch_ms) = fields.epoch_ms {
        return Some(Resolved {
            unix_ms: epoch_ms + sub_ms,
            depends: Depends::Nothing,
        });
    }
    let second_of_day = fields.second_of_day();
    // The time of reading as the clock on the wall has it.
    let read_local_s = |read_ms: i64| {
        let read_s = read_ms.div_euclid(1000);
        let offset = match fields.place {
            Place::Offset(offset) => offset,
            _ => zone.at(read_s),
        };
        read_s.saturating_add(i64::from(offset))
    };
    let (days, depends) = match fields.date {
        Date::Full { year, month, day } => {
            let exists = day <= calendar::days_in_month(year, month);
            exists.then(|| (calendar::days(year, month, day), Depends::Nothing))?
        }
        Date::OfYear { year, day } => {
            let last = 365 + u16::from(calendar::is_leap(year));
            let first = calendar::days(year, 1, 1);
            (day <= last).then(|| (first + i64::from(day) - 1, Depends::Nothing))?
        }
        Date::Yearless { month, day } => {
            let latest_s = read_local_s(near.read_ms.saturating_add(near.ahead_ms))
                .saturating_add(YEARLESS_AHEAD_S);
            (latest(month, day, second_of_day, latest_s)?, Depends::Year)
        }
        Date::None => {
            let read_s = read_local_s(near.read_ms);
            (nearest_day(second_of_day, read_s)?, Depends::Day)
        }
    };
    let local_s = days * DAY_S + second_of_day;
    let offset = match fields.place {
        Place::Offset(offset) => Offset::One(offset),
        Place::Name { start, end } => called(&text[start..end], zone, local_s)?,
        Place::None => zone.at_local(local_s)?,
    };
    let at = |offset: i32| (local_s - i64::from(offset)) * 1000 + sub_ms;
    let (unix_ms, depends) = match offset {
        Offset::One(offset) => (at(offset), depends),
        Offset::Twice { first, second } => {
            let (first_ms, second_ms) = (at(first), at(second));
            let is_second = near.is_second(first_ms, second_ms);
            (if is_second { second_ms } else { first_ms }, Depends::Order)
        }
    };
    Some(Resolved { unix_ms, depends })
}

/// The latest year's day on which that date and time is not after `latest_s`.
fn latest(month: u8, day: u8, second_of_day: i64, latest_s: i64) -> Option<i64> {
    let (year, _, _) = calendar::date(latest_s.div_euclid(DAY_S));
    let year = i32::try_from(year)
        .ok()
        .filter(|year| (0..=9999).contains(year))?;
    (0..=LEAP_GAP_YEARS)
        .map(|back| year - back)
        .filter(|&year| day <= calendar::days_in_month(year, month))
        .map(|year| calendar::days(year, month, day))
        .find(|days| days * DAY_S + second_of_day <= latest_s)
}

/// The day on which that time is nearest to `read_s`, both local.
fn nearest_day(second_of_day: i64, read_s: i64) -> Option<i64> {
    let today = read_s.div_euclid(DAY_S);
    if !(0..=LAST_S).contains(&read_s) {
        return None;
    }
    (today - 1..=today + 1).min_by_key(|day| (day * DAY_S + second_of_day).abs_diff(read_s))
}

/// The offset of a zone's short name. The zone that is meant otherwise knows its own names best; a name that nobody
/// knows leaves it at that zone.
fn called(name: &[u8], zone: &mut Zone, local_s: i64) -> Option<Offset> {
    let name = std::str::from_utf8(name).ok()?;
    let offset = zone.at_local(local_s)?;
    let own = |offset: i32| zone.is_called(name, local_s - i64::from(offset));
    let own = match offset {
        Offset::One(one) if own(one) => Some(one),
        Offset::Twice { first, .. } if own(first) => Some(first),
        Offset::Twice { second, .. } if own(second) => Some(second),
        _ => None,
    };
    let known = own.or_else(|| zone::named(name));
    Some(known.map_or(offset, Offset::One))
}
