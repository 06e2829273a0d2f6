//! Tokens with which a client goes on where a page ended. Opaque to clients, shaped as the service's are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::store::{Cursor, Place};
use crate::endpoint::AwsError;

/// The service's own tokens of GetLogEvents have 56 digits.
const EVENT_DIGITS: usize = 56;
const PLACE_DIGITS: usize = 20;

/// `f/<56 digits>/s` and `b/<56 digits>/s`.
pub(crate) fn events(cursor: Cursor) -> String {
    let (letter, place) = match cursor {
        Cursor::After(place) => ('f', place),
        Cursor::Before(place) => ('b', place),
    };
    // Shifted, so that it has no sign.
    let unix_ms = place.unix_ms.cast_unsigned() ^ (1 << 63);
    let start = place.start;
    let digits = format!("{unix_ms:020}{start:020}");
    format!("{letter}/{digits:0>EVENT_DIGITS$}/s")
}

/// Reads a token of [`events`].
pub(crate) fn cursor(token: &str) -> Result<Cursor, AwsError> {
    let read = || {
        let (letter, rest) = token.split_once('/')?;
        let digits = rest.strip_suffix("/s")?;
        let all_digits = digits.len() == EVENT_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        let (rest, start) = all_digits.then(|| digits.split_at(EVENT_DIGITS - PLACE_DIGITS))?;
        let unix_ms: u64 = rest[rest.len() - PLACE_DIGITS..].parse().ok()?;
        let place = Place {
            unix_ms: (unix_ms ^ (1 << 63)).cast_signed(),
            start: start.parse().ok()?,
        };
        match letter {
            "f" => Some(Cursor::After(place)),
            "b" => Some(Cursor::Before(place)),
            _ => None,
        }
    };
    read().ok_or_else(invalid)
}

/// A token that says how much was shown: a name, or a count.
pub(crate) fn opaque(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Reads a token of [`opaque`].
pub(crate) fn read_opaque(token: &str) -> Result<String, AwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    String::from_utf8(bytes).map_err(|_| invalid())
}

pub(crate) fn invalid() -> AwsError {
    AwsError::invalid("The specified nextToken is invalid.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_where_and_in_which_direction() {
        let place = Place {
            unix_ms: 1_800_000_000_000,
            start: 77,
        };
        for cursor_before in [
            Cursor::After(place),
            Cursor::Before(place),
            Cursor::After(Place::HEAD),
            Cursor::Before(Place::END),
        ] {
            let token = events(cursor_before);
            assert_eq!(token.len(), EVENT_DIGITS + 4);
            assert_eq!(cursor(&token), Ok(cursor_before));
        }
        for bad in [
            "",
            "f/1/s",
            "x",
            &events(Cursor::After(place)).replace('f', "g"),
        ] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }
}
