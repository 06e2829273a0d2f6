//! Bytes as they arrive, lines as they are shown.

/// A longer line is handed on in pieces, so that a command without line ends cannot fill the memory.
const LONGEST_LINE_BYTES: usize = 16 * 1024;

/// Cuts one output of a command into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and hands on every line that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], line: &mut dyn FnMut(String)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            self.flush(line);
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        while self.partial.len() > LONGEST_LINE_BYTES {
            let rest = self.partial.split_off(cut(&self.partial));
            self.flush(line);
            self.partial = rest;
        }
    }

    /// Hands on what stands after the last line end, if anything.
    pub(super) fn end(&mut self, line: &mut dyn FnMut(String)) {
        if !self.partial.is_empty() {
            self.flush(line);
        }
    }

    fn flush(&mut self, line: &mut dyn FnMut(String)) {
        let text = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        // A progress bar redraws its line after a carriage return: only the last drawing counts.
        let shown = text.rsplit(|&byte| byte == b'\r').next().unwrap_or(text);
        line(String::from_utf8_lossy(shown).into_owned());
        self.partial.clear();
    }
}

/// Where to cut an overlong line: at the limit, or up to three bytes before it so as not to split a character.
fn cut(bytes: &[u8]) -> usize {
    let is_inside = |at: usize| bytes[at] & 0b1100_0000 == 0b1000_0000;
    (LONGEST_LINE_BYTES - 3..=LONGEST_LINE_BYTES)
        .rev()
        .find(|&at| !is_inside(at))
        .unwrap_or(LONGEST_LINE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, &mut |line| seen.push(line));
        }
        lines.end(&mut |line| seen.push(line));
        seen
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_bytes_arrive_make_no_difference(
            text in "[a-zé\n\r]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines_of(&pieces), lines_of(&[bytes]));
        }
    }

    #[test]
    fn empty_lines_are_kept_and_an_unfinished_last_line_is_shown() {
        assert_eq!(lines_of(&[b"a\n\nb"]), ["a", "", "b"]);
    }

    #[test]
    fn a_progress_bar_is_its_last_drawing() {
        assert_eq!(lines_of(&[b"10%\r50%\r100%\r\ndone\r\n"]), ["100%", "done"]);
    }

    #[test]
    fn a_line_without_end_is_handed_on_in_whole_characters() {
        let long = "é".repeat(LONGEST_LINE_BYTES);
        let lines = lines_of(&[long.as_bytes()]);
        assert!(lines.len() > 1);
        assert_eq!(lines.concat(), long);
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE_BYTES));
    }
}
