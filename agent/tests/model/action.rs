//! What can happen in a history, by kind.

use proptest::prelude::*;
use proptest::strategy::Union;

use crate::ground::Place;
use crate::host::{Made, Manners, Size};
use crate::service::Fault;
use crate::world::{Order, Setting, World};

pub(crate) const FILES: usize = 3;
/// The fewest that the configuration allows.
const OPEN_FILES: usize = 8;
const HOUR_MS: i64 = 3_600_000;

/// A kind of thing that can happen, besides what always can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Second names: hard and symbolic links, those that lead elsewhere, and rotation by them.
    Links,
    /// Writers without O_APPEND.
    OwnOffset,
    /// Several programs that rotate one log, and write on in what others rotated away.
    Rotators,
    /// Editors that cut, save and rewrite; backups that are restored; touches.
    Editors,
    /// Copies compressed at any moment, with late writers.
    Compressed,
    /// Files that begin alike, and short ones that are made anew to the letter.
    Beginnings,
    /// Inodes that are used again at once, and an agent that can't hold all of them open.
    Inodes,
    /// Lower files of an overlay.
    Overlay,
    /// Clocks that are off by hours and days.
    Clock,
    /// Requests that overtake each other.
    Order,
    /// The same, and what is written after a rotation comes after what was written before it.
    Succession,
}

impl Kind {
    pub(crate) const ALL: [Kind; 11] = [
        Kind::Links,
        Kind::OwnOffset,
        Kind::Rotators,
        Kind::Editors,
        Kind::Compressed,
        Kind::Beginnings,
        Kind::Inodes,
        Kind::Overlay,
        Kind::Clock,
        Kind::Order,
        Kind::Succession,
    ];
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Lines are written; with `repeat`, the last of them several times.
    Write {
        file: usize,
        lines: usize,
        repeat: usize,
    },
    /// A line is written into each of the other logs, so that the agent has to let go of some.
    Crowd,
    /// Lines are written, and after a while once more as many.
    Flow { file: usize, lines: usize, ms: u64 },
    /// The last line is written once more, to the letter.
    Again { file: usize },
    /// Half a line is written. The rest follows with whatever is done next to the file.
    Half { file: usize },
    /// The file is renamed, and a new one is begun.
    Rename { file: usize },
    /// The same by another program, which names its copies after the time.
    RenameDated { file: usize },
    /// A link to the file stays, and a new one is renamed over its path.
    LinkAway { file: usize },
    /// The file is copied, lines are written meanwhile, and it is truncated.
    CopyTruncate {
        file: usize,
        meanwhile: usize,
        pause_ms: u64,
    },
    /// One of the file's rotated copies is compressed, the newest being 0.
    Compress { file: usize, which: usize },
    /// A compression is begun.
    PackBegin { file: usize, which: usize },
    /// It is over.
    PackEnd { file: usize },
    /// The file is truncated: what was not read is gone.
    Truncate { file: usize },
    /// The file is deleted, and a new one is begun.
    Delete { file: usize },
    /// A program that has not noticed a rotation, the newest being 0, writes.
    Late {
        file: usize,
        which: usize,
        lines: usize,
    },
    /// A second name that nobody follows, or its end.
    Link { file: usize },
    /// A second name that is followed, too, or its end.
    Alias { file: usize, hard: bool },
    /// A link that is the log's path leads elsewhere.
    Switch { file: usize, back: bool },
    /// Times or mode change, and nothing else.
    Touch { file: usize, mode: bool },
    /// A copy with the same bytes and times takes the file's place.
    Restore { file: usize },
    /// The file is cut after some of its lines, in hundredths.
    Cut { file: usize, keep: usize },
    /// An editor saves it with its first lines, in hundredths, and some more.
    Save {
        file: usize,
        keep: usize,
        add: usize,
    },
    /// It is rewritten in place.
    Rewrite { file: usize, size: Size },
    /// A short report is made anew.
    Report { file: usize, how: Made, text: usize },
    /// Time passes.
    Pass { ms: u64 },
    /// The agent is killed, with or without the power going off, and started again after a while.
    Kill { power: bool, down: bool },
    /// The agent that was down is started.
    Start,
    /// The next calls meet a fault.
    Fail { fault: Fault, calls: usize },
    /// The host's clock jumps.
    Jump { ms: i64 },
}

fn file() -> std::ops::Range<usize> {
    0..FILES
}

/// What always can happen.
fn always() -> Vec<(u32, BoxedStrategy<Action>)> {
    vec![
        (
            8,
            (file(), 1..30usize, 1..4usize)
                .prop_map(|(file, lines, repeat)| Action::Write {
                    file,
                    lines,
                    repeat,
                })
                .boxed(),
        ),
        (3, file().prop_map(|file| Action::Again { file }).boxed()),
        (2, file().prop_map(|file| Action::Half { file }).boxed()),
        (2, file().prop_map(|file| Action::Rename { file }).boxed()),
        (
            2,
            (file(), 0..5usize)
                .prop_map(|(file, meanwhile)| Action::CopyTruncate {
                    file,
                    meanwhile,
                    pause_ms: 0,
                })
                .boxed(),
        ),
        (
            1,
            file()
                .prop_map(|file| Action::Compress { file, which: 0 })
                .boxed(),
        ),
        (1, file().prop_map(|file| Action::Truncate { file }).boxed()),
        (1, file().prop_map(|file| Action::Delete { file }).boxed()),
        (8, (0..3_000u64).prop_map(|ms| Action::Pass { ms }).boxed()),
        (
            2,
            (any::<bool>(), any::<bool>())
                .prop_map(|(power, down)| Action::Kill { power, down })
                .boxed(),
        ),
        (1, Just(Action::Start).boxed()),
        (
            2,
            (Fault::any(), 1..6usize)
                .prop_map(|(fault, calls)| Action::Fail { fault, calls })
                .boxed(),
        ),
        (
            1,
            (-5_000..5_000i64)
                .prop_map(|ms| Action::Jump { ms })
                .boxed(),
        ),
    ]
}

fn of_kind(kind: Kind) -> Vec<(u32, BoxedStrategy<Action>)> {
    let late = || {
        (file(), 0..3usize, 1..6usize)
            .prop_map(|(file, which, lines)| Action::Late { file, which, lines })
            .boxed()
    };
    // With time for the agent between the copy and the truncation.
    let slow_copy = || {
        (file(), 0..8usize, 0..1_500u64)
            .prop_map(|(file, meanwhile, pause_ms)| Action::CopyTruncate {
                file,
                meanwhile,
                pause_ms,
            })
            .boxed()
    };
    match kind {
        Kind::Links => vec![
            (1, file().prop_map(|file| Action::Link { file }).boxed()),
            (
                2,
                (file(), any::<bool>())
                    .prop_map(|(file, hard)| Action::Alias { file, hard })
                    .boxed(),
            ),
            (
                2,
                any::<bool>()
                    .prop_map(|back| Action::Switch {
                        file: FILES - 1,
                        back,
                    })
                    .boxed(),
            ),
            (2, file().prop_map(|file| Action::LinkAway { file }).boxed()),
            (1, late()),
        ],
        Kind::OwnOffset => vec![(2, slow_copy())],
        // More of the same, so that several batches of one stamp are under way at a time.
        Kind::Order | Kind::Succession => vec![(
            8,
            (file(), 1..30usize, 50..600u64)
                .prop_map(|(file, lines, ms)| Action::Flow { file, lines, ms })
                .boxed(),
        )],
        Kind::Rotators => vec![
            (
                2,
                file().prop_map(|file| Action::RenameDated { file }).boxed(),
            ),
            (2, file().prop_map(|file| Action::Rename { file }).boxed()),
            (4, late()),
            (
                1,
                (5_000..20_000u64)
                    .prop_map(|ms| Action::Pass { ms })
                    .boxed(),
            ),
        ],
        Kind::Editors => vec![
            (
                2,
                (file(), any::<bool>())
                    .prop_map(|(file, mode)| Action::Touch { file, mode })
                    .boxed(),
            ),
            (1, file().prop_map(|file| Action::Restore { file }).boxed()),
            (
                2,
                (file(), 0..100usize)
                    .prop_map(|(file, keep)| Action::Cut { file, keep })
                    .boxed(),
            ),
            (
                2,
                (file(), 0..=100usize, 0..4usize)
                    .prop_map(|(file, keep, add)| Action::Save { file, keep, add })
                    .boxed(),
            ),
            (
                2,
                (
                    file(),
                    prop::sample::select(vec![Size::Shorter, Size::Same, Size::Longer]),
                )
                    .prop_map(|(file, size)| Action::Rewrite { file, size })
                    .boxed(),
            ),
        ],
        Kind::Compressed => vec![
            (2, slow_copy()),
            (
                2,
                (file(), 0..3usize)
                    .prop_map(|(file, which)| Action::Compress { file, which })
                    .boxed(),
            ),
            (
                2,
                (file(), 0..3usize)
                    .prop_map(|(file, which)| Action::PackBegin { file, which })
                    .boxed(),
            ),
            (2, file().prop_map(|file| Action::PackEnd { file }).boxed()),
            (3, late()),
        ],
        Kind::Beginnings => vec![
            (
                4,
                (
                    file(),
                    prop::sample::select(vec![Made::InPlace, Made::Renamed, Made::Deleted]),
                    0..2usize,
                )
                    .prop_map(|(file, how, text)| Action::Report { file, how, text })
                    .boxed(),
            ),
            (
                1,
                (
                    file(),
                    prop::sample::select(vec![Size::Shorter, Size::Same, Size::Longer]),
                )
                    .prop_map(|(file, size)| Action::Rewrite { file, size })
                    .boxed(),
            ),
        ],
        Kind::Inodes => vec![
            (3, Just(Action::Crowd).boxed()),
            (3, file().prop_map(|file| Action::Delete { file }).boxed()),
            (
                1,
                (file(), 0..2usize)
                    .prop_map(|(file, text)| Action::Report {
                        file,
                        how: Made::Deleted,
                        text,
                    })
                    .boxed(),
            ),
            (
                1,
                (60_000..90_000u64)
                    .prop_map(|ms| Action::Pass { ms })
                    .boxed(),
            ),
        ],
        Kind::Overlay => vec![
            (
                1,
                (file(), 0..3usize)
                    .prop_map(|(file, which)| Action::Compress { file, which })
                    .boxed(),
            ),
            (1, file().prop_map(|file| Action::LinkAway { file }).boxed()),
        ],
        Kind::Clock => vec![(
            3,
            prop::sample::select(vec![
                3 * HOUR_MS,
                -3 * HOUR_MS,
                24 * HOUR_MS,
                -24 * HOUR_MS,
                15 * 24 * HOUR_MS,
                -15 * 24 * HOUR_MS,
            ])
            .prop_map(|ms| Action::Jump { ms })
            .boxed(),
        )],
    }
}

/// Histories of these kinds.
pub(crate) fn histories(kinds: &[Kind]) -> impl Strategy<Value = Vec<Action>> + use<> {
    let mut all = always();
    for &kind in kinds {
        all.extend(of_kind(kind));
    }
    prop::collection::vec(Union::new_weighted(all), 1..40)
}

/// The world in which they take place.
pub(crate) fn setting(kinds: &[Kind]) -> Setting {
    let has = |kind| kinds.contains(&kind);
    let mut setting = Setting::default();
    for (log, manners) in setting.manners.iter_mut().enumerate() {
        let alone = kinds.len() == 1;
        // Where there is one kind, all logs are of it; else each has its own.
        *manners = Manners {
            own_offset: has(Kind::OwnOffset) && (alone || log == 1),
            unstamped: (has(Kind::Clock) || has(Kind::Order) || has(Kind::Succession)) && log == 0,
            whole_seconds: has(Kind::Order) || has(Kind::Succession),
            banner: has(Kind::Beginnings) && (alone || log == 1),
            linked: has(Kind::Links) && log == FILES - 1,
        };
    }
    if has(Kind::Inodes) {
        setting.place = Place::Disk;
        setting.open_files = Some(OPEN_FILES);
        setting
            .manners
            .resize(FILES + 2 * OPEN_FILES, Manners::default());
    }
    if has(Kind::Overlay) {
        setting.place = Place::Overlay;
    }
    let in_order = has(Kind::Order) || has(Kind::Succession);
    setting.overtaking = in_order;
    // Who writes on in what was rotated away writes two files at a time.
    let late = has(Kind::Rotators) || has(Kind::Compressed) || has(Kind::Links);
    setting.order = match has(Kind::Succession) && !late {
        true => Some(Order::OfLogs),
        false => in_order.then_some(Order::OfFiles),
    };
    setting.stamps_are_true = has(Kind::Clock);
    setting
}

/// Does it. An action that means nothing here and now does nothing.
pub(crate) fn perform(world: &mut World, action: Action) -> Result<(), TestCaseError> {
    let hundredths = |world: &World, file, part: usize| world.host.standing(file) * part / 100;
    // Of a file whose beginning the agent never saw, nothing can be recognised afterwards; nor can the order of copies with names of two
    // kinds be told if all of them came between two looks.
    let unknown = |world: &World, file| !world.host.is_known(file);
    match action {
        Action::Write {
            file,
            lines,
            repeat,
        } => world.host.write(file, lines, repeat),
        Action::Crowd => {
            for other in FILES..world.setting.manners.len() {
                world.host.write(other, 1, 1);
            }
        }
        Action::Flow { file, lines, ms } => {
            world.host.write(file, lines, 1);
            world.pass(ms)?;
            world.host.write(file, lines, 1);
        }
        Action::Again { file } => world.host.again(file),
        Action::Half { file } => world.host.half(file),
        Action::Rename { file } => world.host.rename(file),
        Action::LinkAway { file } => world.host.link_away(file),
        Action::CopyTruncate { file, .. }
        | Action::Delete { file }
        | Action::RenameDated { file }
        | Action::Cut { file, .. }
        | Action::Rewrite { file, .. }
        | Action::Restore { file }
        | Action::Save { file, .. }
            if unknown(world, file) => {}
        Action::CopyTruncate {
            file,
            meanwhile,
            pause_ms,
        } => {
            world.host.copy(file);
            world.host.write(file, meanwhile, 1);
            if pause_ms > 0 {
                world.pass(pause_ms)?;
            }
            world.host.truncate(file);
        }
        Action::RenameDated { file } => world.host.rename_dated(file),
        Action::Compress { file, which } => world.host.compress(file, which),
        Action::PackBegin { file, which } => {
            world.host.pack_begin(file, which);
        }
        Action::PackEnd { file } => world.host.pack_end(file),
        Action::Truncate { file } => world.host.truncate(file),
        Action::Delete { file } => world.host.delete(file),
        Action::Late { file, which, lines } => world.host.write_late(file, which, lines),
        Action::Link { file } => world.host.link(file),
        Action::Alias { file, hard } => world.host.alias(file, hard),
        Action::Switch { file, back } => world.host.switch(file, back),
        Action::Touch { file, mode } => {
            // While nobody looks, a touch can't be told from a rewrite with the same bytes.
            if world.is_up() {
                world.host.touch_only(file, mode);
                world.pass(1_100)?;
            }
        }
        Action::Restore { file } => world.host.restore(file),
        Action::Cut { file, keep } => {
            let keep = hundredths(world, file, keep);
            world.host.cut(file, keep);
        }
        Action::Save { file, keep, add } => {
            let keep = hundredths(world, file, keep);
            world.host.save(file, keep, add);
        }
        Action::Rewrite { file, size } => world.host.rewrite(file, size),
        Action::Report { file, how, text } => {
            // Another time of writing than the one before.
            world.pass(2)?;
            world.host.report(file, how, text);
        }
        Action::Pass { ms } => world.pass(ms)?,
        Action::Kill { power, down } => {
            world.kill(power);
            if !down {
                world.start();
            }
        }
        Action::Start => world.start(),
        Action::Fail { fault, calls } => world.service.fail(fault, calls),
        Action::Jump { ms } => world.jump(ms),
    }
    Ok(())
}
