//! Which release the base is made of, and which archive it comes from.

use std::fs;

use anyhow::{Context as _, Result};

use crate::command::{exists, run};
use crate::config::BaseChoice;

/// The release that users run; it is preferred wherever its archive can be reached.
const PREFERRED_SUITE: &str = "bionic";

/// A release and the archive it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) suite: String,
    pub(super) mirror: String,
    /// apt's source lines for the disk.
    pub(super) sources: Vec<String>,
    /// pip's index for the disk (old pips have one built in that has moved since).
    pub(super) pip_index_url: String,
}

pub(super) fn choose(choice: &BaseChoice) -> Result<Source> {
    let configured = configured_sources(&run(
        "apt-get",
        &[
            "indextargets",
            "--format",
            "$(ORIGIN)|$(SITE)|$(CODENAME)|$(COMPONENT)",
        ],
    )?);
    if let Some(suite) = &choice.suite {
        return named(suite, choice.mirror.as_deref(), &configured);
    }
    if let Some(mirror) = debootstrap_default_mirror(PREFERRED_SUITE)
        && archive_answers(&mirror, PREFERRED_SUITE)
    {
        return named(PREFERRED_SUITE, Some(&mirror), &configured);
    }
    let own = fs::read_to_string("/etc/os-release").context("could not read /etc/os-release")?;
    let suite = os_release_value(&own, "VERSION_CODENAME")
        .context("/etc/os-release names no VERSION_CODENAME; say which release to use with `lab up --suite NAME --mirror URL`")?;
    named(&suite, choice.mirror.as_deref(), &configured)
}

fn named(suite: &str, mirror: Option<&str>, configured: &[Source]) -> Result<Source> {
    if mirror.is_none()
        && let Some(found) = configured.iter().find(|source| source.suite == suite)
    {
        return Ok(found.clone());
    }
    let mirror = mirror
        .map(str::to_owned)
        .or_else(|| debootstrap_default_mirror(suite))
        .with_context(|| format!("no mirror is known for {suite}; name one with `lab up --suite {suite} --mirror URL`"))?;
    let components = if debootstrap_default_mirror(suite).is_some_and(|url| url.contains("ubuntu"))
    {
        "main universe"
    } else {
        "main"
    };
    let sources = ["", "-updates", "-security"]
        .iter()
        .map(|pocket| format!("deb {mirror} {suite}{pocket} {components}"))
        .collect();
    Ok(Source {
        suite: suite.to_owned(),
        mirror,
        sources,
        ..Source::default()
    })
}

/// The distribution's own archives out of `apt-get indextargets`, one [`Source`] per release, pockets such as `-updates` folded in.
/// Third parties' archives are left out: a cloud image has none.
fn configured_sources(listing: &str) -> Vec<Source> {
    let mut entries: Vec<(String, String, String)> = Vec::new();
    for line in listing.lines() {
        let [origin, site, codename, component] = line.split('|').collect::<Vec<_>>()[..] else {
            continue;
        };
        let entry = (codename.to_owned(), site.to_owned(), component.to_owned());
        if matches!(origin, "Debian" | "Ubuntu") && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let releases: Vec<&(String, String, String)> = entries
        .iter()
        .filter(|(codename, ..)| !codename.contains('-'))
        .collect();
    let mut sources: Vec<Source> = Vec::new();
    for (suite, mirror, _) in releases {
        if sources.iter().any(|source| source.suite == *suite) {
            continue;
        }
        let pocket = format!("{suite}-");
        let mut lines: Vec<String> = entries
            .iter()
            .filter(|(codename, ..)| codename == suite || codename.starts_with(&pocket))
            .map(|(codename, site, component)| format!("deb {site} {codename} {component}"))
            .collect();
        lines.sort();
        sources.push(Source {
            suite: suite.clone(),
            mirror: mirror.clone(),
            sources: lines,
            ..Source::default()
        });
    }
    sources
}

fn os_release_value(text: &str, key: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

/// debootstrap knows each release's home archive; asking it keeps that knowledge in one place.
fn debootstrap_default_mirror(suite: &str) -> Option<String> {
    let script = debootstrap_script(suite)?;
    let mirrors = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("default_mirror "));
    mirrors
        .map(str::trim)
        .find(|url| url.starts_with("http") && !url.contains("old-releases") && !url.contains('$'))
        .map(str::to_owned)
}

pub(super) fn debootstrap_script(suite: &str) -> Option<String> {
    fs::read_to_string(format!("/usr/share/debootstrap/scripts/{suite}")).ok()
}

fn archive_answers(mirror: &str, suite: &str) -> bool {
    exists("curl")
        && run(
            "curl",
            &[
                "--silent",
                "--fail",
                "--head",
                "--max-time",
                "4",
                "--output",
                "/dev/null",
                &format!("{mirror}/dists/{suite}/Release"),
            ],
        )
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "Debian|http://mirror/debian|bookworm|main\nDebian|http://mirror/debian|bookworm|main\n\
        Debian|http://mirror/debian|bookworm-updates|main\nDebian|http://mirror/debian-security|bookworm-security|main\n\
        Node Source|https://other|nodistro|main\nbroken line\n";

    #[test]
    fn a_release_takes_its_pockets_along_and_leaves_third_parties_out() {
        let sources = configured_sources(LISTING);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].suite, "bookworm");
        assert_eq!(sources[0].mirror, "http://mirror/debian");
        assert_eq!(
            sources[0].sources,
            [
                "deb http://mirror/debian bookworm main",
                "deb http://mirror/debian bookworm-updates main",
                "deb http://mirror/debian-security bookworm-security main"
            ]
        );
    }

    #[test]
    fn a_named_mirror_wins_over_the_configured_one() {
        let sources = configured_sources(LISTING);
        let source = named("bookworm", Some("http://elsewhere/debian"), &sources)
            .expect("a mirror was named");
        assert_eq!(source.mirror, "http://elsewhere/debian");
        assert!(source.sources[0].starts_with("deb http://elsewhere/debian bookworm "));
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        assert_eq!(
            os_release_value(
                "ID=debian\nVERSION_CODENAME=\"jammy\"\n",
                "VERSION_CODENAME"
            )
            .as_deref(),
            Some("jammy")
        );
        assert_eq!(os_release_value("ID=debian\n", "VERSION_CODENAME"), None);
    }
}
