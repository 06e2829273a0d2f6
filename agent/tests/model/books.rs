//! Which lines were written, where each of them still stands, and what may have become of it.
//!
//! A line is followed by itself, even if another reads the same. It *may be lost* from the moment on when it stands nowhere any more: no file
//! with a name holds it, nor one that the agent is known to have open. Whatever stands somewhere has to arrive.

use std::collections::BTreeMap;

/// One line that was written, for as long as the history lasts.
pub(crate) type LineId = usize;

/// A line's text and, if the agent can know it, the line's own time.
pub(crate) type Key = (String, Option<i64>);

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) key: Key,
    /// The log that it was written to.
    pub(crate) log: usize,
    /// The file that it was written to, of all that ever were.
    pub(crate) body: usize,
    /// When it was written, by a clock that is right.
    pub(crate) true_ms: i64,
    /// In how many files that can be read it stands.
    places: usize,
    /// The agent looked at the file while it stood there.
    pub(crate) seen: bool,
    /// The agent looked again after it was gone: that it was lost stands in the account.
    counted: bool,
    /// It stood nowhere for a while: it need not arrive.
    pub(crate) excused: bool,
    /// Nobody can tell whether it is another line or the one that stood there before: it need not arrive.
    pub(crate) optional: bool,
    /// Nobody wrote it, but nobody can tell.
    pub(crate) imagined: bool,
    /// It stood nowhere any more when the agent ended.
    pub(crate) adrift: bool,
    /// It stands in a copy that nobody can know as one of a file that is gone: it may be called lost there.
    pub(crate) recounted: bool,
}

impl Line {
    /// In the file, with its end.
    pub(crate) fn bytes(&self) -> u64 {
        self.key.0.len() as u64 + 1
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) lines: Vec<Line>,
}

/// How often lines of one text and time were written, and how many of them need not arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) written: usize,
    pub(crate) excused: usize,
}

impl Books {
    pub(crate) fn write(&mut self, key: Key, log: usize, body: usize, true_ms: i64) -> LineId {
        self.lines.push(Line {
            key,
            log,
            body,
            true_ms,
            places: 0,
            seen: false,
            counted: false,
            excused: false,
            optional: false,
            imagined: false,
            adrift: false,
            recounted: false,
        });
        self.lines.len() - 1
    }

    /// Nobody can tell that these lines were not written once more.
    pub(crate) fn imagine(&mut self, lines: &[LineId]) {
        for &id in lines {
            let Line {
                key,
                log,
                body,
                true_ms,
                ..
            } = &self.lines[id];
            let again = self.write(key.clone(), *log, *body, *true_ms);
            self.lines[again].optional = true;
            self.lines[again].imagined = true;
        }
    }

    /// These lines stand in one more file.
    pub(crate) fn hold(&mut self, lines: &[LineId]) {
        for &id in lines {
            self.lines[id].places += 1;
        }
    }

    /// These lines stand in one file less.
    pub(crate) fn release(&mut self, lines: &[LineId]) {
        for &id in lines {
            let line = &mut self.lines[id];
            line.places -= 1;
            line.excused |= line.places == 0;
        }
    }

    /// The agent looked at a file with these lines in it.
    pub(crate) fn seen(&mut self, lines: &[LineId]) {
        for &id in lines {
            self.lines[id].seen = true;
        }
    }

    /// What the agent saw of these lines it may have forgotten: they need not stand in the account.
    pub(crate) fn unsee(&mut self, lines: &[LineId]) {
        for &id in lines {
            self.lines[id].seen = false;
        }
    }

    /// The agent looked at everything: what it has seen and is gone, it has noticed to be gone.
    pub(crate) fn looked(&mut self) {
        for line in &mut self.lines {
            line.counted |= line.seen && line.excused;
        }
    }

    /// The agent is gone. What it had seen and not dealt with the next one does not know; nor, where the power went off, what it had
    /// noticed: that need not be durable.
    pub(crate) fn forget(&mut self, power: bool) {
        for line in &mut self.lines {
            line.seen &= line.counted && !power;
            line.adrift |= line.excused;
        }
    }

    /// These may be called lost although they arrive.
    pub(crate) fn recount(&mut self, lines: &[LineId]) {
        for &id in lines {
            self.lines[id].recounted = true;
        }
    }

    pub(crate) fn excuse(&mut self, lines: &[LineId]) {
        for &id in lines {
            self.lines[id].optional = true;
        }
    }

    /// Lines by text and time.
    pub(crate) fn counts(&self) -> BTreeMap<&Key, Count> {
        let mut counts: BTreeMap<&Key, Count> = BTreeMap::new();
        for line in &self.lines {
            let count = counts.entry(&line.key).or_default();
            count.written += 1;
            count.excused += usize::from(line.excused || line.optional);
        }
        counts
    }
}
