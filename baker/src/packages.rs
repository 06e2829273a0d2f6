//! What is installed on the host, for the manifest.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::remote::{self, Command, Host, HostError, Stdin};

/// dpkg reads one file.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The first field begins with `ii` for what is installed and shall be.
const LIST: &str =
    r"dpkg-query --show --showformat='${db:Status-Abbrev}\t${binary:Package}\t${Version}\n'";

/// Version by package name; with its architecture where a host has a package for several.
///
/// # Errors
/// When the host can't be asked. A host without dpkg has no packages.
pub async fn installed(host: &impl Host) -> Result<BTreeMap<String, String>, HostError> {
    let command = Command {
        line: LIST.to_owned(),
        stdin: Stdin::Empty,
        timeout: TIMEOUT,
    };
    let captured = remote::capture(host, command).await?;
    Ok(parse(&captured.stdout))
}

fn parse(lines: &[String]) -> BTreeMap<String, String> {
    lines
        .iter()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let (status, name, version) = (fields.next()?, fields.next()?, fields.next()?);
            status
                .starts_with("ii")
                .then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts() {
        let lines = [
            "ii \tnginx\t1.14.0-0ubuntu1.11",
            "rc \tapache2\t2.4.29",
            "ii \tlibc6:amd64\t2.27-3ubuntu1.6",
            "dpkg-query: no packages found",
        ];
        let packages = parse(&lines.map(str::to_owned));
        assert_eq!(packages.len(), 2);
        assert_eq!(packages["nginx"], "1.14.0-0ubuntu1.11");
        assert_eq!(packages["libc6:amd64"], "2.27-3ubuntu1.6");
    }
}
