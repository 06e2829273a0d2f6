//! The combinations of logrotate's directives, and of what programs do meanwhile, that the agent has to live with. Each is a folder
//! with logs of its own and a stream of its own, so that a fault shows where it comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::scribe::{self, Log};
use crate::support::rotate::{Logrotate, Version};

/// What rotation may destroy, so that no agent can send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destroys {
    /// Nothing.
    Nothing,
    /// What is deleted, or moved out of the folder that is followed, while no agent runs that has it open.
    WhileDown,
    /// Also what is written between the copy and the truncation, or was not read before a truncation without a copy.
    Between,
}

/// How programs come to open the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reopen {
    /// They never have to: the file stays.
    Never,
    /// A script of logrotate has it done, and waits until it is.
    Asked,
    /// A moment after logrotate ended: until then they write into what was rotated away.
    Late,
}

/// One combination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) name: &'static str,
    directives: &'static str,
    files: usize,
    reopen: Reopen,
    own_offset: bool,
    pub(crate) destroys: Destroys,
}

const fn renamed(name: &'static str, directives: &'static str) -> Combination {
    Combination {
        name,
        directives,
        files: 1,
        reopen: Reopen::Asked,
        own_offset: false,
        destroys: Destroys::Nothing,
    }
}

const fn copied(name: &'static str, directives: &'static str) -> Combination {
    Combination {
        reopen: Reopen::Never,
        destroys: Destroys::Between,
        ..renamed(name, directives)
    }
}

const fn late(of: Combination) -> Combination {
    Combination {
        reopen: Reopen::Late,
        ..of
    }
}

const fn while_down(of: Combination) -> Combination {
    Combination {
        destroys: Destroys::WhileDown,
        ..of
    }
}

const fn own_offset(of: Combination) -> Combination {
    Combination {
        own_offset: true,
        ..of
    }
}

const fn files(files: usize, of: Combination) -> Combination {
    Combination { files, ..of }
}

/// Dated names of which there may be one a second.
const DATED: &str = "dateext dateformat -%s";

pub(crate) const ALL: &[Combination] = &[
    renamed("create", "create"),
    renamed("create-compress", "create compress"),
    late(renamed(
        "create-delaycompress",
        "create compress delaycompress",
    )),
    renamed("create-dateext-compress", "create compress DATED"),
    while_down(renamed("create-olddir", "create olddir OLD")),
    while_down(late(renamed(
        "create-olddir-compress",
        "create olddir OLD compress delaycompress",
    ))),
    while_down(late(renamed("create-rotate-0", "create rotate 0"))),
    late(renamed("create-maxsize", "create maxsize 20k daily")),
    files(
        3,
        renamed("create-sharedscripts", "create sharedscripts compress"),
    ),
    while_down(late(renamed("create-compress-late", "create compress"))),
    while_down(files(
        30,
        late(renamed("30-files-compress-late", "create compress")),
    )),
    copied("copytruncate", "copytruncate"),
    copied("copytruncate-compress", "copytruncate compress"),
    copied(
        "copytruncate-delaycompress",
        "copytruncate compress delaycompress",
    ),
    copied("copytruncate-dateext", "copytruncate DATED"),
    copied(
        "copytruncate-dateext-compress",
        "copytruncate compress DATED",
    ),
    copied(
        "copytruncate-olddir-compress",
        "copytruncate compress olddir OLD",
    ),
    copied("copytruncate-rotate-0", "copytruncate rotate 0"),
    copied("copytruncate-maxsize", "copytruncate maxsize 20k daily"),
    own_offset(copied("own-offset-copytruncate", "copytruncate")),
    own_offset(copied(
        "own-offset-copytruncate-compress",
        "copytruncate compress",
    )),
];

/// A combination at work.
pub(crate) struct Rotated {
    pub(crate) combination: Combination,
    pub(crate) stream: String,
    pub(crate) logs: Vec<Log>,
    pub(crate) folder: PathBuf,
    /// Where `olddir` puts copies: not followed.
    pub(crate) old: PathBuf,
    logrotate: Logrotate,
    force: bool,
}

impl Rotated {
    /// Makes its folders. `first` is the number of its first writer.
    pub(crate) fn new(
        combination: Combination,
        version: Version,
        program: &Path,
        root: &Path,
        first: u16,
    ) -> Self {
        let stream = match version {
            Version::Today => combination.name.to_owned(),
            Version::Bionic => format!("{}-3.11", combination.name),
        };
        let folder = root.join(&stream);
        let (old, control) = (
            root.join(format!("{stream}-old")),
            root.join(format!("{stream}-control")),
        );
        for folder in [&folder, &old, &control] {
            fs::create_dir(folder).unwrap();
        }
        let logs: Vec<Log> = (0..combination.files)
            .map(|number| Log {
                path: folder.join(format!("{number}.log")),
                writer: first + u16::try_from(number).unwrap(),
                own_offset: combination.own_offset,
                flag: control.join(format!("reopen-{number}")),
            })
            .collect();
        let directives = combination
            .directives
            .replace("DATED", DATED)
            .replace("OLD", &old.display().to_string());
        let flags: Vec<&Path> = logs.iter().map(|log| log.flag.as_path()).collect();
        let script = match combination.reopen {
            Reopen::Asked => format!("postrotate\n{}endscript", scribe::ask(&flags)),
            Reopen::Never | Reopen::Late => String::new(),
        };
        // None goes but by `rotate 0`: what the agent does not have was lost by the agent.
        let block = format!("rotate 1000\nmissingok\n{}\n{script}\n", lines(&directives));
        let pattern = folder.join("*.log").display().to_string();
        Self {
            logrotate: Logrotate::of(program, &control, &pattern, &block),
            force: !directives.contains("maxsize"),
            combination,
            stream,
            logs,
            folder,
            old,
        }
    }

    /// Rotates once. Returns what logrotate complained about. `moment` is how long late programs take.
    pub(crate) fn turn(&self, moment: Duration) -> Option<String> {
        let said = self.logrotate.run(self.force).err();
        if self.combination.reopen == Reopen::Late {
            // The programs' own time, which no agent can know.
            std::thread::sleep(moment);
            for log in &self.logs {
                fs::write(&log.flag, "").unwrap();
            }
        }
        // A name that was given this second already is refused (3.11 and 3.21): nothing was done then.
        said.filter(|said| !said.contains("already exists"))
    }
}

/// logrotate wants each directive on a line of its own; some take a word.
fn lines(directives: &str) -> String {
    let mut lines = String::new();
    for word in directives.split(' ') {
        let argument = word.starts_with(['/', '-', '0', '1', '2']);
        lines.push_str(if argument { " " } else { "\n" });
        lines.push_str(word);
    }
    lines
}
