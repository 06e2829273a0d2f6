//! What of a host is looked at.

use std::path::PathBuf;

/// A kind of metric, named as the CloudWatch agent's section for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// Shares of the processors' time.
    Cpu,
    /// Memory.
    Mem,
    /// Swap space.
    Swap,
    /// Space and inodes of file systems.
    Disk,
    /// I/O of block devices.
    DiskIo,
    /// Traffic of network interfaces.
    Net,
    /// Sockets by state.
    Netstat,
    /// Processes by state.
    Processes,
    /// Load averages.
    Load,
    /// The agent itself.
    Agent,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Cpu,
        Self::Mem,
        Self::Swap,
        Self::Disk,
        Self::DiskIo,
        Self::Net,
        Self::Netstat,
        Self::Processes,
        Self::Load,
        Self::Agent,
    ];

    /// Its word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Mem => "mem",
            Self::Swap => "swap",
            Self::Disk => "disk",
            Self::DiskIo => "diskio",
            Self::Net => "net",
            Self::Netstat => "netstat",
            Self::Processes => "processes",
            Self::Load => "load",
            Self::Agent => "agent",
        }
    }

    /// The family of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.word() == word)
    }
}

/// A set of families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Families(u16);

impl Families {
    /// Every family.
    #[must_use]
    pub fn all() -> Self {
        Family::ALL.into_iter().collect()
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, family: Family) -> bool {
        self.0 & (1 << family as u16) != 0
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        Self(
            families
                .into_iter()
                .fold(0, |set, family| set | 1 << family as u16),
        )
    }
}

/// Which devices or interfaces count, by name. In a pattern `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only these, whatever they are; empty: those that the family looks at by itself.
    pub only: Vec<String>,
    /// Not these.
    pub except: Vec<String>,
}

impl Choice {
    /// Whether `name` was asked for by name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.only.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether `name` counts; `by_itself` is what the family says if nothing was named.
    pub(super) fn takes(&self, name: &str, by_itself: bool) -> bool {
        let wanted = match self.only.is_empty() {
            true => by_itself,
            false => self.names(name),
        };
        wanted && !self.except.iter().any(|pattern| matches(pattern, name))
    }
}

/// Whether `name` is what `pattern` describes. Linear for the few stars people write.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let mut last = None;
    for piece in pieces {
        if let Some(between) = last.replace(piece) {
            match rest.split_once(between) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

/// What of a host is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collect {
    /// Which kinds of metrics.
    pub families: Families,
    /// Each processor by itself, too.
    pub per_core: bool,
    /// Mount points besides those of local disks: network file systems, tmpfs. One that does not answer delays nothing.
    pub mounts: Vec<PathBuf>,
    /// Block devices; by itself: whole ones, neither loop, RAM, optical nor floppy.
    pub devices: Choice,
    /// Network interfaces; by itself: those that are up, neither loopback nor the ends of containers (`veth…`).
    pub interfaces: Choice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("eth0", "eth0"),
            ("eth*", "eth0"),
            ("eth*", "eth"),
            ("*", ""),
            ("*", "x"),
            ("nvme*n1", "nvme0n1"),
            ("*p1", "nvme0n1p1"),
            ("n*n*p1", "nvme0n1p1"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("eth0", "eth01"),
            ("eth*", "et"),
            ("*p1", "p12"),
            ("nvme*n1", "nvme0n1p1"),
            ("a*a", "a"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn named_ones_count_whatever_they_are_and_exceptions_never() {
        let choice = Choice {
            only: vec!["lo".into(), "eth*".into()],
            except: vec!["eth1".into()],
        };
        assert!(choice.takes("lo", false));
        assert!(choice.takes("eth0", true));
        assert!(!choice.takes("eth1", true));
        assert!(!choice.takes("ens5", true));
        assert!(Choice::default().takes("ens5", true));
        assert!(!Choice::default().takes("lo", false));
    }

    #[test]
    fn words_lead_to_families_and_back() {
        for family in Family::ALL {
            assert_eq!(Family::of(family.word()), Some(family));
            assert!(Families::all().has(family));
            assert!(!Families::default().has(family));
        }
    }
}
