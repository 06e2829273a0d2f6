//! As whom a check looks: root may read everything, the service may not. So root becomes the service's user first, with the groups and the variables
//! that the unit and its drop-ins give.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{
    Gid, Group, Uid, User, geteuid, getgrouplist, getgroups, setgid, setgroups, setuid,
};

use super::environment;
use super::{Finding, Subject};

/// The unit, and its user where the unit says nothing.
const SERVICE: &str = "baker-agent";
/// Where systemd's tool is, whatever PATH says.
const SYSTEMCTL: [&str; 2] = ["/bin/systemctl", "/usr/bin/systemctl"];

/// The process can't become that user.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none of that name.
    #[error("there is no user {0}: name another with --user")]
    NoUser(String),
    /// The system refuses it.
    #[error("can't look as {user}: {doing}")]
    Refused {
        /// Who.
        user: String,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: Errno,
    },
}

/// Who this process is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// For the report.
    pub subject: Subject,
    /// What the service's environment has besides, to be set before anything reads it.
    pub environment: BTreeMap<String, String>,
}

/// Becomes the service's user, or `wanted`, if this process is root's; else stays who it is.
///
/// # Errors
/// When `wanted` is not there, or the system refuses the change.
pub fn assume(wanted: Option<&str>) -> Result<Assumed, IdentityError> {
    let stays = |finding: Option<Finding>| Assumed {
        subject: Subject {
            name: name_of(geteuid()),
            findings: finding.into_iter().collect(),
        },
        environment: BTreeMap::new(),
    };
    if !geteuid().is_root() {
        let other = wanted.unwrap_or(SERVICE);
        let finding = (name_of(geteuid()) != other).then(|| {
            Finding::note(format!(
                "this is not {other}, who may read less or more: look as root (sudo baker-agent check), who can become {other}"
            ))
        });
        return Ok(stays(finding));
    }
    let unit = match wanted {
        // A user that was named is looked as, and nothing else.
        Some(_) => Unit::default(),
        None => Unit::installed(),
    };
    let name = wanted.or(unit.user.as_deref()).unwrap_or(SERVICE);
    let Some(user) = User::from_name(name).ok().flatten() else {
        return match wanted {
            Some(_) => Err(IdentityError::NoUser(name.to_owned())),
            None => Ok(stays(Some(Finding::note(format!(
                "there is no user {name} yet, so it was looked as root, who may read everything: install the package, or name a user with --user"
            ))))),
        };
    };
    if user.uid.is_root() {
        return Ok(stays(None));
    }
    // While its files can be read: systemd reads them as root, too.
    let mut environment = unit.environment();
    let groups = become_user(&user, &unit)?;
    let home = user.dir.display().to_string();
    environment.extend([
        ("HOME".into(), home),
        ("USER".into(), user.name.clone()),
        ("LOGNAME".into(), user.name.clone()),
    ]);
    Ok(Assumed {
        subject: Subject {
            name: format!("{} (groups {})", user.name, groups.join(", ")),
            findings: Vec::new(),
        },
        environment,
    })
}

/// Takes the groups that systemd would give (systemd.exec(5): those of the user, and the unit's), then group and user, for good. Returns the groups'
/// names.
fn become_user(user: &User, unit: &Unit) -> Result<Vec<String>, IdentityError> {
    let refused = |doing| {
        let user = user.name.clone();
        move |source| IdentityError::Refused {
            user,
            doing,
            source,
        }
    };
    let group = |name: &String| Group::from_name(name).ok().flatten().map(|group| group.gid);
    let main = unit.group.as_ref().and_then(group).unwrap_or(user.gid);
    let name = CString::new(user.name.as_str()).unwrap_or_default();
    let mut groups = getgrouplist(&name, main).map_err(refused("its groups can't be listed"))?;
    groups.extend(unit.groups.iter().filter_map(group));
    groups.sort_unstable_by_key(|gid| gid.as_raw());
    groups.dedup();
    setgroups(&groups).map_err(refused("its groups can't be taken"))?;
    setgid(main).map_err(refused("its group can't be taken"))?;
    setuid(user.uid).map_err(refused("the user can't be taken"))?;
    let taken = getgroups().unwrap_or(groups);
    Ok(taken.into_iter().map(group_name).collect())
}

fn name_of(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: Gid) -> String {
    let group = Group::from_gid(gid).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// What the unit and its drop-ins say of whom it runs as.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    user: Option<String>,
    group: Option<String>,
    groups: Vec<String>,
    /// What every unit has (`DefaultEnvironment=`).
    given: Vec<(String, String)>,
    /// `Environment=`.
    assigned: Vec<(String, String)>,
    /// `EnvironmentFile=`.
    files: Vec<PathBuf>,
}

impl Unit {
    /// The unit of this host; nothing is known without systemd.
    fn installed() -> Self {
        let Some(systemctl) = SYSTEMCTL.iter().find(|path| Path::new(path).exists()) else {
            return Self::default();
        };
        let ask = |words: &[&str]| {
            let answer = Command::new(systemctl)
                .args(words)
                .stdin(Stdio::null())
                .output();
            answer.map_or_else(
                |_| String::new(),
                |answer| String::from_utf8_lossy(&answer.stdout).into_owned(),
            )
        };
        let properties = "User,Group,SupplementaryGroups,Environment,EnvironmentFiles";
        let mut unit = Self::shown(&ask(&["show", SERVICE, "--property", properties]));
        unit.given = environment::assigned(&ask(&["show-environment"]).replace('\n', " "));
        unit
    }

    /// Reads what `systemctl show` prints: a property a line.
    fn shown(text: &str) -> Self {
        let mut unit = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let one = || Some(value.to_owned()).filter(|value| !value.is_empty());
            match name {
                "User" => unit.user = one(),
                "Group" => unit.group = one(),
                "SupplementaryGroups" => {
                    unit.groups = value.split_whitespace().map(str::to_owned).collect();
                }
                "Environment" => unit.assigned = environment::assigned(value),
                // One line for each file, as `PATH (ignore_errors=yes)`; 237 calls it by the name in units.
                "EnvironmentFiles" | "EnvironmentFile" => {
                    let path = value.rsplit_once(" (").map_or(value, |(path, _)| path);
                    unit.files.push(PathBuf::from(path));
                }
                _ => {}
            }
        }
        unit
    }

    /// The variables, as the service has them: what is said later counts.
    fn environment(&self) -> BTreeMap<String, String> {
        let said = self.given.iter().chain(&self.assigned);
        let mut all: BTreeMap<String, String> = said.cloned().collect();
        for path in &self.files {
            if let Ok(text) = fs::read_to_string(path) {
                all.extend(environment::read(&text));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_with_what_its_drop_ins_add() {
        let shown = "EnvironmentFile=/etc/default/baker-agent (ignore_errors=yes)\nEnvironmentFiles=/etc/a b (ignore_errors=no)\n\
                     Environment=AWS_PROFILE=logs\nUser=baker-agent\nGroup=\nSupplementaryGroups=adm jenkins\n";
        assert_eq!(
            Unit::shown(shown),
            Unit {
                user: Some("baker-agent".into()),
                group: None,
                given: Vec::new(),
                groups: vec!["adm".into(), "jenkins".into()],
                assigned: vec![("AWS_PROFILE".into(), "logs".into())],
                files: vec!["/etc/default/baker-agent".into(), "/etc/a b".into()],
            }
        );
        // Without the unit there are empty properties.
        assert_eq!(
            Unit::shown("User=\nGroup=\nSupplementaryGroups=\n"),
            Unit::default()
        );
    }
}
