//! Which outside names hosts may reach: the package registries that this machine itself is configured for, and what the user allows.

use std::collections::BTreeSet;

use crate::command::{exists, run};

/// Host names (lower case, without port) that the resolver answers and the relay connects to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Egress {
    allowed: BTreeSet<String>,
}

impl Egress {
    /// Asks apt, pip and npm where they take packages from.
    pub(crate) fn of_this_machine(base_sources: &str, extra: &[String]) -> Self {
        let mut egress = Self::default();
        egress.allow_urls(base_sources);
        if let Ok(sites) = run("apt-get", &["indextargets", "--format", "$(SITE)"]) {
            egress.allow_urls(&sites);
        }
        // pip's built-in index and the separate host of its files; then whatever the configuration says instead.
        let built_in = "from pip._internal.models.index import PyPI as i; print(f'https://{i.netloc}/ https://{i.file_storage_domain}/')";
        if let Ok(urls) = run("python3", &["-c", built_in]) {
            egress.allow_urls(&urls);
        }
        if let Ok(urls) = run("python3", &["-m", "pip", "config", "list"]) {
            egress.allow_urls(&urls.replace(['\'', '"', '='], " "));
        }
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
    fn hosts_are_taken_out_of_urls_and_nothing_else() {
        let mut egress = Egress::default();
        egress.allow_urls("deb http://Mirror.example/debian main https://user:pw@pip.example:8443/simple file:///x ftp://no.example");
        assert_eq!(egress.names(), ["mirror.example", "pip.example"]);
        assert!(egress.allows("MIRROR.example."));
        assert!(!egress.allows("example"));
    }
}
