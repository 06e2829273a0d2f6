//! Which lines a regular expression can match at all: a slip of the pen makes one that matches none, or each.
//!
//! Found out without any line: the expression's automaton is walked through, byte by byte, over all texts that a line may be.

use std::collections::HashSet;

use regex_automata::Input;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

/// Larger automatons are not walked through.
const STATES: usize = 4_000;
/// What they may take of memory meanwhile.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Which lines match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// None that could ever be written.
    None,
    /// Some, and others do not.
    Some,
    /// Each that is not empty.
    Each,
}

/// Which lines `pattern` matches; `None` where that can't be told, because it is no pattern, or too large a one.
#[must_use]
pub fn lines(pattern: &str) -> Option<Lines> {
    let dfa = DFA::builder()
        .configure(
            DFA::config()
                .unicode_word_boundary(true)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true),
        )
        .syntax(syntax::Config::new().utf8(false))
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(CACHE_BYTES)),
        )
        .build(pattern)
        .ok()?;
    Walk {
        cache: dfa.create_cache(),
        dfa,
        matches: false,
        misses: false,
    }
    .through()
}

struct Walk {
    dfa: DFA,
    cache: Cache,
    /// Whether a line was found that matches, and one that does not.
    matches: bool,
    misses: bool,
}

/// A text up to here, as far as it matters for what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    state: LazyStateID,
    /// What of a character is still to come.
    within: Within,
    empty: bool,
}

impl Walk {
    fn through(mut self) -> Option<Lines> {
        let begin = Place {
            state: self
                .dfa
                .start_state_forward(&mut self.cache, &Input::new(""))
                .ok()?,
            within: Within::NONE,
            empty: true,
        };
        let mut known = HashSet::from([begin]);
        let mut rest = vec![begin];
        while let Some(place) = rest.pop() {
            if place.within == Within::NONE {
                let end = self.dfa.next_eoi_state(&mut self.cache, place.state).ok()?;
                self.matches |= end.is_match();
                self.misses |= !end.is_match() && !place.empty;
            }
            for byte in (0..=u8::MAX).filter(|byte| *byte != b'\n') {
                let Some(within) = place.within.then(byte) else {
                    continue;
                };
                let state = self
                    .dfa
                    .next_state(&mut self.cache, place.state, byte)
                    .ok()?;
                if state.is_quit() {
                    return None;
                }
                // What has matched goes on to match, whatever follows; what is dead never will.
                self.matches |= state.is_match();
                self.misses |= state.is_dead();
                if self.matches && self.misses {
                    return Some(Lines::Some);
                }
                let next = Place {
                    state,
                    within,
                    empty: false,
                };
                if !state.is_match() && !state.is_dead() && known.insert(next) {
                    rest.push(next);
                }
            }
            // The cache has room for more states than this, so none is forgotten meanwhile.
            if known.len() > STATES || self.cache.clear_count() > 0 {
                return None;
            }
        }
        Some(match (self.matches, self.misses) {
            (false, _) => Lines::None,
            (true, false) => Lines::Each,
            (true, true) => Lines::Some,
        })
    }
}

/// The bytes of a character that are still to come (Unicode Standard, table 3-7): how many, and from which range the next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Within {
    left: u8,
    first: u8,
    last: u8,
}

impl Within {
    const NONE: Self = Self::of(0, 0, 0);

    const fn of(left: u8, first: u8, last: u8) -> Self {
        Self { left, first, last }
    }

    /// What is still to come behind `byte`; `None` where it can't stand.
    fn then(self, byte: u8) -> Option<Self> {
        if self.left > 0 {
            let fits = (self.first..=self.last).contains(&byte);
            return fits.then(|| match self.left {
                1 => Self::NONE,
                left => Self::of(left - 1, 0x80, 0xbf),
            });
        }
        Some(match byte {
            0..=0x7f => Self::NONE,
            0xc2..=0xdf => Self::of(1, 0x80, 0xbf),
            0xe0 => Self::of(2, 0xa0, 0xbf),
            0xed => Self::of(2, 0x80, 0x9f),
            0xe1..=0xef => Self::of(2, 0x80, 0xbf),
            0xf0 => Self::of(3, 0x90, 0xbf),
            0xf1..=0xf3 => Self::of(3, 0x80, 0xbf),
            0xf4 => Self::of(3, 0x80, 0x8f),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    #[test]
    fn a_pattern_that_matches_no_line_or_each_is_known() {
        for (pattern, expected) in [
            (r"^\d{4}-\d\d-\d\d", Lines::Some),
            (r"^\S", Lines::Some),
            (r"ERROR|WARN", Lines::Some),
            ("(?i)fatal", Lines::Some),
            ("^é", Lines::Some),
            ("[^é]", Lines::Some),
            ("^$", Lines::Some),
            ("a^b", Lines::None),
            ("$a", Lines::None),
            (r"x\ny", Lines::None),
            (r"[a&&b]", Lines::None),
            (r"^\d{4}$-", Lines::None),
            ("", Lines::Each),
            ("^", Lines::Each),
            ("$", Lines::Each),
            (".", Lines::Each),
            (".*", Lines::Each),
            (r"^\s*", Lines::Each),
            ("(ERROR)?", Lines::Each),
            ("a|[^a]", Lines::Each),
            (r"\S|\s", Lines::Each),
            ("(?s)^.", Lines::Each),
        ] {
            assert_eq!(lines(pattern), Some(expected), "{pattern}");
        }
        assert_eq!(lines("("), None);
        assert_eq!(lines(r"(a|b){1000}c.{1000}"), None, "too large to tell");
    }

    proptest! {
        /// What is said holds for every line.
        #[test]
        fn what_is_said_of_all_lines_holds_for_each(
            pattern in r"(\^|\$|a|b|\.|\[ab\]|\[\^a\]|\\s|\\S|\(a\||\)|\*|\?|\|){1,7}",
            line in "[ab é\t]{1,6}",
        ) {
            let (Ok(regex), Some(which)) = (Regex::new(&pattern), lines(&pattern)) else {
                return Ok(());
            };
            match which {
                Lines::None => prop_assert!(!regex.is_match(line.as_bytes())),
                Lines::Each => prop_assert!(regex.is_match(line.as_bytes())),
                Lines::Some => {}
            }
        }
    }

    #[test]
    fn every_character_is_walked_through_and_nothing_else() {
        let whole = |bytes: &[u8]| {
            bytes
                .iter()
                .try_fold(Within::NONE, |within, byte| within.then(*byte))
                == Some(Within::NONE)
        };
        for character in ('\0'..=char::MAX).step_by(7) {
            assert!(whole(character.encode_utf8(&mut [0; 4]).as_bytes()));
        }
        for bytes in [
            &b"\x80"[..],
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xff",
            b"\xc3",
        ] {
            assert!(!whole(bytes) && std::str::from_utf8(bytes).is_err());
        }
    }
}
