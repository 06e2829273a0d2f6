//! The numbers of the kinds of records. Part of the format on disk: none is ever given another meaning.

pub(super) const FOUND: u8 = 1;
pub(super) const IDENTIFIED: u8 = 2;
pub(super) const MOVED: u8 = 3;
pub(super) const AIMED: u8 = 4;
pub(super) const SEEN: u8 = 5;
pub(super) const ENDED: u8 = 6;
pub(super) const FORGOTTEN: u8 = 7;
pub(super) const INTENT: u8 = 8;
pub(super) const LANDED: u8 = 9;
pub(super) const WITHDRAWN: u8 = 10;
pub(super) const SETTLED: u8 = 11;
pub(super) const COUNTERS: u8 = 12;
pub(super) const RETIRED: u8 = 13;
pub(super) const CARRIED: u8 = 14;
pub(super) const RECENT: u8 = 15;
pub(super) const PRINTED: u8 = 16;
/// A generation that begins with bytes of an earlier one.
pub(super) const CONTINUED: u8 = 20;
/// What [`CARRIED`] is for others, for one that begins with bytes of an earlier one.
pub(super) const CARRIED_ON: u8 = 21;
pub(super) const REFUSED: u8 = 22;
