//! No format and no text is too strange: a stamp is found or not, and if found it is a time of the calendar.

#![no_main]

use std::sync::{Arc, LazyLock};

use baker_agent_fuzz::stamp::{Format, Origin, Stamper};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

/// From a day before the year 0 to a day after the year 9999: a stamp's zone may lie beyond the calendar's.
const PLAUSIBLE_MS: std::ops::RangeInclusive<i64> = -62_167_305_600_000..=253_402_387_200_000;

static PRESETS: LazyLock<Vec<Arc<Format>>> = LazyLock::new(|| {
    Format::presets()
        .filter_map(Format::preset)
        .map(Arc::new)
        .collect()
});

fuzz_target!(|input: &[u8]| {
    let [kind, read @ .., _] = input else {
        return;
    };
    let Some((read, text)) = read.split_first_chunk() else {
        return;
    };
    // Now any time at all, now one near the stamps.
    let read_ms = i64::from_le_bytes(*read) >> (kind >> 4);
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n');
    let format = match PRESETS.get(usize::from(kind & 15)) {
        Some(format) => Arc::clone(format),
        None => match Format::parse(lines.next().unwrap_or_default()) {
            Ok(format) => Arc::new(format),
            Err(error) => {
                assert!(error.column > 0 && !error.to_string().is_empty());
                return;
            }
        },
    };
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let mut stamper = Stamper::new(Some(format), zone);
    for line in lines {
        let stamp = stamper.stamp(line, read_ms);
        match stamp.origin {
            Origin::Read => assert_eq!(stamp.unix_ms, read_ms),
            _ => assert!(PLAUSIBLE_MS.contains(&stamp.unix_ms), "{line}: {stamp:?}"),
        }
        let follow = stamper.follow(read_ms);
        assert_eq!(
            follow.unix_ms, stamp.unix_ms,
            "what follows is of the same time"
        );
    }
});
