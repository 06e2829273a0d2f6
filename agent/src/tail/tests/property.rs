//! Random writes, rotations, truncations, deletions, compressions and restarts, against a model of what must arrive.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::desk::{Desk, Seen};
use crate::account::GenerationId;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Write {
        lines: usize,
    },
    /// The writer of the newest rotated file goes on for a while.
    WriteLate {
        lines: usize,
    },
    Rename {
        create: bool,
    },
    CopyTruncate {
        between: usize,
    },
    Truncate {
        then: usize,
    },
    Replace {
        lines: usize,
    },
    Delete,
    Compress {
        number: usize,
    },
    DeleteOldest,
    Look,
    Read,
    Pause,
    Kill,
    Start,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..40usize).prop_map(|lines| Step::Write { lines }),
        2 => (1..5usize).prop_map(|lines| Step::WriteLate { lines }),
        3 => any::<bool>().prop_map(|create| Step::Rename { create }),
        3 => (0..3usize).prop_map(|between| Step::CopyTruncate { between }),
        1 => (0..60usize).prop_map(|then| Step::Truncate { then }),
        1 => (1..5usize).prop_map(|lines| Step::Replace { lines }),
        1 => Just(Step::Delete),
        2 => (1..4usize).prop_map(|number| Step::Compress { number }),
        1 => Just(Step::DeleteOldest),
        3 => Just(Step::Look),
        6 => Just(Step::Read),
        1 => Just(Step::Pause),
        1 => Just(Step::Kill),
        2 => Just(Step::Start),
    ]
}

/// One incarnation, as the model has it.
#[derive(Debug, Default, Clone)]
struct Incarnation {
    content: Vec<u8>,
    /// How much of it the reader has seen, by looking.
    seen: usize,
    read: usize,
    /// The reader follows it and holds it open.
    followed: bool,
    /// What nobody can have known of.
    unseen: usize,
    over: bool,
}

/// A name in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    incarnation: usize,
    packed: bool,
}

struct Model {
    desk: Desk,
    running: bool,
    rotated_since_look: bool,
    incarnations: Vec<Incarnation>,
    live: Option<usize>,
    /// `a.log.1` and up.
    rotated: Vec<Name>,
    lines: usize,
    done: BTreeMap<GenerationId, Vec<Seen>>,
}

const LIVE: &str = "a.log";

impl Model {
    fn new() -> Model {
        Model {
            desk: Desk::new(&[LIVE]),
            running: true,
            rotated_since_look: false,
            incarnations: Vec::new(),
            live: None,
            rotated: Vec::new(),
            lines: 0,
            done: BTreeMap::new(),
        }
    }

    fn name(&self, number: usize) -> String {
        let packed = self.rotated[number - 1].packed;
        format!("{LIVE}.{number}{}", if packed { ".gz" } else { "" })
    }

    fn text(&mut self, incarnation: usize, lines: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..lines {
            self.lines += 1;
            writeln!(
                text,
                "line {} of {incarnation} {}",
                self.lines,
                "x".repeat(self.lines % 50)
            )
            .unwrap();
        }
        self.incarnations[incarnation].content.extend(&text);
        text
    }

    fn live(&mut self) -> usize {
        *self.live.get_or_insert_with(|| {
            self.incarnations.push(Incarnation::default());
            self.incarnations.len() - 1
        })
    }

    fn write(&mut self, lines: usize) {
        let live = self.live();
        let text = self.text(live, lines);
        self.desk.append(LIVE, &String::from_utf8(text).unwrap());
    }

    /// Nothing more can be read of it than this.
    fn end(&mut self, incarnation: usize, copied: Option<usize>) {
        let it = &mut self.incarnations[incarnation];
        let known = it.seen.max(it.read).max(copied.unwrap_or(0));
        it.unseen = it.content.len() - known;
        it.over = true;
        it.followed = false;
    }

    /// Its last name is gone.
    fn unlink(&mut self, incarnation: usize) {
        let it = &self.incarnations[incarnation];
        if self.running && it.followed {
            return;
        }
        self.end(incarnation, None);
    }

    fn shift(&mut self) {
        for number in (1..=self.rotated.len()).rev() {
            let from = self.name(number);
            let to = from.replace(&format!(".log.{number}"), &format!(".log.{}", number + 1));
            self.desk.rename(&from, &to);
        }
    }

    /// Several rotations between two looks, and deletions while nobody looks, have tests of their own: what an inode that is used again and again meant in
    /// between can't always be told.
    fn step(&mut self, step: &Step) {
        let deletes = matches!(
            step,
            Step::Replace { .. } | Step::Delete | Step::DeleteOldest
        );
        if deletes && !self.running {
            return;
        }
        if matches!(
            step,
            Step::Rename { .. }
                | Step::CopyTruncate { .. }
                | Step::Truncate { .. }
                | Step::Replace { .. }
                | Step::Delete
        ) {
            if self.rotated_since_look {
                return;
            }
            // A file's first bytes are seen before it is rotated: an inode that is used again for the copy of something
            // that was never seen can't be told from what it was.
            // Empty files are not rotated (logrotate's `notifempty`).
            if self.running
                && self
                    .live
                    .is_some_and(|live| self.incarnations[live].seen == 0)
            {
                self.write(1);
                self.look(false);
            }
            self.rotated_since_look = true;
        }
        match *step {
            Step::Write { lines } => self.write(lines),
            Step::WriteLate { lines } => {
                if let Some(&Name {
                    incarnation,
                    packed: false,
                }) = self.rotated.first()
                    && !self.incarnations[incarnation].over
                {
                    let text = self.text(incarnation, lines);
                    self.desk
                        .append("a.log.1", &String::from_utf8(text).unwrap());
                }
            }
            Step::Rename { create } => {
                if let Some(incarnation) = self.live.take() {
                    self.shift();
                    self.desk.rename(LIVE, "a.log.1");
                    self.rotated.insert(
                        0,
                        Name {
                            incarnation,
                            packed: false,
                        },
                    );
                }
                if create {
                    self.live();
                    self.desk.append(LIVE, "");
                }
            }
            Step::CopyTruncate { between } => {
                if let Some(incarnation) = self.live.take() {
                    let copied = self.incarnations[incarnation].content.len();
                    self.shift();
                    self.desk.copy(LIVE, "a.log.1");
                    self.rotated.insert(
                        0,
                        Name {
                            incarnation,
                            packed: false,
                        },
                    );
                    let text = self.text(incarnation, between);
                    self.desk.append(LIVE, &String::from_utf8(text).unwrap());
                    self.desk.truncate(LIVE, 0);
                    let followed = self.incarnations[incarnation].followed;
                    self.end(incarnation, Some(copied));
                    let next = self.live();
                    self.incarnations[next].followed = followed;
                }
            }
            Step::Truncate { then } => {
                if let Some(incarnation) = self.live.take() {
                    self.desk.truncate(LIVE, 0);
                    let followed = self.incarnations[incarnation].followed;
                    self.end(incarnation, None);
                    // The same file, which the reader may hold open.
                    let next = self.live();
                    self.incarnations[next].followed = followed;
                    self.write(then);
                }
            }
            Step::Replace { lines } => {
                if let Some(incarnation) = self.live.take() {
                    let next = self.live();
                    let text = self.text(next, lines);
                    self.desk.append("new", &String::from_utf8(text).unwrap());
                    self.desk.rename("new", LIVE);
                    self.unlink(incarnation);
                }
            }
            Step::Delete => {
                if let Some(incarnation) = self.live.take() {
                    self.desk.delete(LIVE);
                    self.unlink(incarnation);
                }
            }
            Step::Compress { number } => {
                if self
                    .rotated
                    .get(number - 1)
                    .is_some_and(|name| !name.packed)
                {
                    self.desk.compress(&self.name(number));
                    self.rotated[number - 1].packed = true;
                }
            }
            Step::DeleteOldest => {
                if !self.rotated.is_empty() {
                    self.desk.delete(&self.name(self.rotated.len()));
                    if let Some(name) = self.rotated.pop() {
                        self.unlink(name.incarnation);
                    }
                }
            }
            Step::Look => self.look(false),
            Step::Read => self.look(true),
            Step::Pause => self.desk.now += Duration::from_secs(6),
            Step::Kill => self.kill(),
            Step::Start => self.running = true,
        }
    }

    fn look(&mut self, read: bool) {
        if !self.running {
            return;
        }
        self.rotated_since_look = false;
        if read {
            self.desk.settle();
        } else {
            self.desk.look_later();
        }
        let named: Vec<usize> = self
            .live
            .into_iter()
            .chain(self.rotated.iter().map(|n| n.incarnation))
            .collect();
        for (index, it) in self.incarnations.iter_mut().enumerate() {
            if it.over && named.contains(&index) {
                // In a copy.
                it.followed = true;
                it.seen = it.content.len() - it.unseen;
            } else if !it.over && (named.contains(&index) || it.followed) {
                it.followed = true;
                it.seen = it.content.len();
            }
            if read {
                it.read = it.seen;
            }
        }
        if read {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let over: Vec<GenerationId> = self
            .desk
            .seen
            .iter()
            .filter(|(_, seen)| seen.ended.is_some_and(|size| seen.at >= size))
            .map(|(&id, _)| id)
            .collect();
        for id in over {
            if !self.desk.files.forget(id) {
                continue;
            }
            let seen = self.desk.seen.remove(&id).unwrap();
            self.done.entry(id).or_default().push(seen);
        }
    }

    fn kill(&mut self) {
        if !self.running {
            return;
        }
        // Of a file that was empty when it was last seen, nothing tells later what became of it.
        let live = self.live();
        if self.incarnations[live].seen == 0 {
            self.write(1);
            self.look(false);
        }
        let known = self.desk.known();
        for (id, seen) in std::mem::take(&mut self.desk.seen) {
            self.done.entry(id).or_default().push(seen);
        }
        let next = self.done.keys().map(|id| id.0 + 1).max().unwrap_or(1);
        self.desk.reopen(known, next);
        self.running = false;
        let named: Vec<usize> = self
            .live
            .into_iter()
            .chain(self.rotated.iter().map(|n| n.incarnation))
            .collect();
        for index in 0..self.incarnations.len() {
            self.incarnations[index].followed = false;
            if !named.contains(&index) {
                self.end(index, None);
            }
        }
    }

    /// Every byte that could be known of was delivered once, or is reported as lost.
    fn check(mut self) {
        self.running = true;
        self.look(true);
        self.look(true);
        for (id, seen) in std::mem::take(&mut self.desk.seen) {
            self.done.entry(id).or_default().push(seen);
        }
        let mut delivered = vec![0; self.incarnations.len()];
        let mut lost = 0;
        for (id, parts) in &self.done {
            for part in parts {
                lost += part.lost_bytes();
                if part.text.is_empty() {
                    continue;
                }
                let from = part.from as usize;
                let to = from + part.text.len();
                let of = self
                    .incarnations
                    .iter()
                    .position(|it| it.content.get(from..to) == Some(&part.text[..]));
                let Some(of) = of else {
                    panic!(
                        "{id} delivered what no file has there: {from}..{to} {:?}",
                        part.text()
                    );
                };
                assert_eq!(
                    delivered[of], from,
                    "{id} delivered bytes of file {of} again, or left some out"
                );
                delivered[of] = to;
            }
        }
        let written: usize = self.incarnations.iter().map(|it| it.content.len()).sum();
        let unseen: usize = self.incarnations.iter().map(|it| it.unseen).sum();
        let arrived: usize = delivered.iter().sum();
        assert_eq!(
            written,
            arrived + lost as usize + unseen,
            "arrived {arrived}, lost {lost}, unseen {unseen}; delivered {delivered:?} of {:?}",
            self.incarnations
                .iter()
                .map(|it| (it.content.len(), it.unseen))
                .collect::<Vec<_>>()
        );
        // The folder is the model's.
        let names = fs::read_dir(self.desk.folder.path()).unwrap().count();
        assert_eq!(names, self.rotated.len() + usize::from(self.live.is_some()));
    }
}

fn run(steps: &[Step]) {
    let mut model = Model::new();
    // Copies that were rotated away before the first start are nobody's business.
    model.write(1);
    model.look(true);
    for step in steps {
        model.step(step);
    }
    model.check();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_byte_arrives_once_or_is_reported(steps in prop::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}
