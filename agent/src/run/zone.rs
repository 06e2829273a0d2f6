//! The host's time zone, which may be changed while the agent runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;

/// Where the zone is named (localtime(5)).
const LOCALTIME: &str = "/etc/localtime";
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(10);

/// What tells one zone from the next: where the link points to, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    link: Option<PathBuf>,
    changed: Option<SystemTime>,
    bytes: Option<u64>,
}

impl Mark {
    fn of(path: &Path) -> Self {
        let there = path.metadata().ok();
        Self {
            link: path.read_link().ok(),
            changed: there.as_ref().and_then(|there| there.modified().ok()),
            bytes: there.map(|there| there.len()),
        }
    }
}

/// Looks now and then whether the zone is another one.
#[derive(Debug)]
pub(super) struct HostZone {
    path: PathBuf,
    mark: Mark,
    next: Duration,
}

impl HostZone {
    /// `None` where the environment says which zone it is: that does not change.
    pub(super) fn new(now: Duration) -> Option<Self> {
        match std::env::var_os("TZ") {
            Some(_) => None,
            None => Some(Self::at(LOCALTIME.into(), now)),
        }
    }

    fn at(path: PathBuf, now: Duration) -> Self {
        Self {
            mark: Mark::of(&path),
            path,
            next: now + PAUSE,
        }
    }

    /// The zone, if it has changed since the last look. One that can't be read is asked for again at the next change.
    pub(super) fn changed(&mut self, now: Duration) -> Option<TimeZone> {
        if !self.is_changed(now) {
            return None;
        }
        // Not TimeZone::system(), which is remembered for minutes.
        let rules = std::fs::read(&self.path).ok()?;
        TimeZone::tzif("local", &rules).ok()
    }

    fn is_changed(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + PAUSE;
        let mark = Mark::of(&self.path);
        std::mem::replace(&mut self.mark, mark) != self.mark
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_points_elsewhere_and_another_file_in_its_place_are_another_zone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("localtime");
        let mut now = Duration::ZERO;
        let mut zone = HostZone::at(path.clone(), now);
        let mut changed = |zone: &mut HostZone| {
            now += PAUSE;
            let is_changed = zone.is_changed(now);
            assert!(!zone.is_changed(now), "it is looked at now and then");
            is_changed
        };
        assert!(!changed(&mut zone));
        symlink("/usr/share/zoneinfo/Europe/Berlin", &path).unwrap();
        assert!(changed(&mut zone));
        assert!(!changed(&mut zone));
        fs::remove_file(&path).unwrap();
        symlink("/usr/share/zoneinfo/Asia/Tokyo", &path).unwrap();
        assert!(changed(&mut zone));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "TZif").unwrap();
        assert!(changed(&mut zone));
        fs::write(&path, "TZif of another zone").unwrap();
        assert!(changed(&mut zone));
        assert!(!changed(&mut zone));
    }
}
