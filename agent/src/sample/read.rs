//! Files of `/proc` and `/sys`, read whole into one buffer, and their lines, each of which may be wrong.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::{FromStr, SplitAsciiWhitespace};

use super::Trouble;

/// The files of a host, and the buffer they are read into one after the other.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    buffer: Vec<u8>,
}

/// A buffer that once had to hold more is given back: thousands of processors are no reason to keep it.
const KEPT_BYTES: usize = 64 * 1024;

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            buffer: Vec::new(),
        }
    }

    /// Where `path`, absolute on the host, is to be found.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The whole of a file. What is not UTF-8 in it comes as replacement characters.
    pub(super) fn read(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        let mut file = File::open(self.place(Path::new(path)))?;
        file.read_to_end(&mut self.buffer)?;
        Ok(String::from_utf8_lossy(&self.buffer))
    }

    /// The same, where a file that can't be read is a trouble.
    pub(super) fn text(&mut self, path: &str, troubles: &mut Vec<Trouble>) -> Option<Cow<'_, str>> {
        match self.read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                troubles.push(unreadable(path, &error));
                None
            }
        }
    }
}

/// The trouble with a file that can't be read.
pub(super) fn unreadable(path: impl Into<PathBuf>, error: &io::Error) -> Trouble {
    Trouble::Unreadable {
        path: path.into(),
        error: error.to_string(),
    }
}

/// Why a line makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonsense(pub(super) String);

/// What `parse` makes of each line from the `skip`th on; `None` is a line of no interest. The first line that makes no sense, and the number
/// of others, is a trouble with `path`.
pub(super) fn lines<'a, T>(
    path: &str,
    text: &'a str,
    skip: usize,
    troubles: &mut Vec<Trouble>,
    mut parse: impl FnMut(&'a str) -> Result<Option<T>, Nonsense>,
) -> Vec<T> {
    let mut bad: Option<(usize, Nonsense, usize)> = None;
    let good = text
        .lines()
        .enumerate()
        .skip(skip)
        .filter_map(|(index, line)| match parse(line) {
            Ok(item) => item,
            Err(why) => {
                match &mut bad {
                    Some((_, _, others)) => *others += 1,
                    None => bad = Some((index + 1, why, 0)),
                }
                None
            }
        })
        .collect();
    if let Some((line, Nonsense(why), others)) = bad {
        troubles.push(Trouble::Malformed {
            path: path.into(),
            line,
            why,
            others,
        });
    }
    good
}

/// The next field of a line as a number.
pub(super) fn number<T: FromStr>(
    fields: &mut SplitAsciiWhitespace<'_>,
    name: &str,
) -> Result<T, Nonsense> {
    let field = fields
        .next()
        .ok_or_else(|| Nonsense(format!("it ends before {name}")))?;
    field
        .parse()
        .map_err(|_| Nonsense(format!("{name} is {:?}", clipped(field))))
}

/// So much of a text is shown.
const SHOWN_CHARACTERS: usize = 40;

/// The beginning of a text.
pub(super) fn clipped(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN_CHARACTERS);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}
