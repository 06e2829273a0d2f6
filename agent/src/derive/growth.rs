//! What a counter grew by.
//!
//! Counters of the kernel wrap: at 2³² where a driver, a 32-bit kernel, or a field that is printed as `unsigned int` keeps them (times in
//! `/proc/diskstats`: every 50 days of I/O), else at 2⁶⁴. And they begin anew, when a device is attached again or its driver starts over.
//! One that went down has wrapped if it was near the end and is near the beginning; else it began anew, and what happened between nobody knows.

/// Near an end is within a quarter of the range.
const NEAR: u64 = 4;
const RANGE_32: u64 = 1 << 32;

/// By how much a counter grew; `None` if it began anew.
pub(super) fn growth(before: u64, after: u64) -> Option<u64> {
    if after >= before {
        return Some(after - before);
    }
    let grown = match before < RANGE_32 {
        true => RANGE_32 - before + after,
        false => after.wrapping_sub(before),
    };
    let (range, end) = match before < RANGE_32 {
        true => (RANGE_32, RANGE_32 - 1),
        false => (u64::MAX, u64::MAX),
    };
    let near = range / NEAR;
    (end - before < near && after < near).then_some(grown)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_grows() {
        assert_eq!(growth(0, 0), Some(0));
        assert_eq!(growth(7, 10), Some(3));
        assert_eq!(growth(0, u64::MAX), Some(u64::MAX));
        assert_eq!(growth(u64::from(u32::MAX), RANGE_32 + 1), Some(2));
    }

    #[test]
    fn a_counter_of_32_bits_wraps() {
        assert_eq!(growth(RANGE_32 - 1, 0), Some(1));
        assert_eq!(growth(RANGE_32 - 10, 5), Some(15));
    }

    #[test]
    fn a_counter_of_64_bits_wraps() {
        assert_eq!(growth(u64::MAX, 0), Some(1));
        assert_eq!(growth(u64::MAX - 9, 5), Some(15));
    }

    #[test]
    fn a_counter_that_began_anew_tells_nothing() {
        assert_eq!(growth(10, 9), None);
        assert_eq!(growth(1 << 31, 0), None);
        assert_eq!(growth(RANGE_32 - 1, 1 << 31), None);
        assert_eq!(growth(1 << 40, 0), None);
        assert_eq!(growth(RANGE_32, 0), None);
        assert_eq!(growth(u64::MAX, 1 << 63), None);
    }

    proptest! {
        #[test]
        fn whatever_wraps_is_seen_through(start: u64, by in 0..RANGE_32 / 4) {
            prop_assert_eq!(growth(start, start.checked_add(by).unwrap_or(start.wrapping_add(by))), Some(by));
            let start = start % RANGE_32;
            let after = (start + by) % RANGE_32;
            prop_assert_eq!(growth(start, after), Some(by));
        }

        #[test]
        fn growth_is_never_more_than_what_was_left_and_what_is_there(before: u64, after: u64) {
            if let Some(grown) = growth(before, after) && after < before {
                prop_assert!(grown.checked_sub(after).unwrap() <= u64::MAX - before + 1);
            }
        }
    }
}
