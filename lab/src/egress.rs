//! Which outside names hosts may reach: the package registries that this machine itself is configured for, and what the user allows.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::command::{exists, run};

/// Host names (lower case, without port) that the resolver answers and the relay connects to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Egress {
    allowed: BTreeSet<String>,
}

impl Egress {
    /// Asks apt, pip and npm where they take packages from. `pip` is what pip said.
    pub(crate) fn of_this_machine(base_sources: &str, pip: &PipIndex, extra: &[String]) -> Self {
        let mut egress = Self::default();
        egress.allow_urls(base_sources);
        if let Ok(sites) = run("apt-get", &["indextargets", "--format", "$(SITE)"]) {
            egress.allow_urls(&sites);
        }
        egress.allow_urls(&pip.index_url);
        egress.allow_urls(&pip.others);
        if exists("npm")
            && let Ok(url) = run("npm", &["config", "get", "registry"])
        {
            egress.allow_urls(&url);
        }
        egress
            .allowed
            .extend(extra.iter().map(|name| name.to_lowercase()));
        egress
    }

    fn allow_urls(&mut self, text: &str) {
        self.allowed
            .extend(text.split_whitespace().filter_map(host_of));
    }

    /// Whether hosts may reach `name`.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.allowed
            .contains(name.trim_end_matches('.').to_lowercase().as_str())
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.allowed.iter().cloned().collect()
    }
}

/// Where this machine's pip takes packages from.
#[derive(Debug, Clone, Default)]
pub(crate) struct PipIndex {
    /// The index.
    pub(crate) index_url: String,
    /// Further places, one URL a word: extra indexes, and the separate host of the built-in index's files.
    pub(crate) others: String,
}

impl PipIndex {
    /// Asks the pip of `python`: what it was built with, unless its configuration says otherwise.
    pub(crate) fn of(python: &Path) -> Result<Self> {
        let python = python.display().to_string();
        let built_in = "from pip._internal.models.index import PyPI as i; print(f'{i.simple_url} https://{i.file_storage_domain}/')";
        let said = run(&python, &["-c", built_in]).context("could not ask pip for its index")?;
        let (index, files) = said.trim().split_once(' ').unwrap_or((said.trim(), ""));
        let configured = run(&python, &["-m", "pip", "config", "list"]).unwrap_or_default();
        Ok(match configured_index(&configured) {
            Some(index_url) => Self {
                index_url,
                others: configured.replace(['\'', '"', '='], " "),
            },
            None => Self {
                index_url: index.to_owned(),
                others: format!("{files} {}", configured.replace(['\'', '"', '='], " ")),
            },
        })
    }
}

/// `global.index-url='URL'` or `:env:.index-url='URL'` of `pip config list`; the environment wins, as it does in pip.
fn configured_index(listing: &str) -> Option<String> {
    let values = listing
        .lines()
        .filter_map(|line| line.split_once(".index-url="));
    let value = values.max_by_key(|(place, _)| *place == ":env:")?.1;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

fn host_of(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_index_wins_and_the_environments_first() {
        assert_eq!(configured_index("global.timeout='5'\n"), None);
        let listing = ":env:.index-url='https://env.example/simple'\nglobal.index-url='https://file.example/simple'\n";
        assert_eq!(
            configured_index(listing).as_deref(),
            Some("https://env.example/simple")
        );
        assert_eq!(
            configured_index("user.index-url='https://u.example'\n").as_deref(),
            Some("https://u.example")
        );
    }

    #[test]
    fn hosts_are_taken_out_of_urls_and_nothing_else() {
        let mut egress = Egress::default();
        egress.allow_urls("deb http://Mirror.example/debian main https://user:pw@pip.example:8443/simple file:///x ftp://no.example");
        assert_eq!(egress.names(), ["mirror.example", "pip.example"]);
        assert!(egress.allows("MIRROR.example."));
        assert!(!egress.allows("example"));
    }
}
