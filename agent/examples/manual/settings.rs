//! The page of the configuration, `baker-agent.toml(5)`: the same text as `docs/agent/configuration.md`.

use clap_mangen::roff::{Roff, bold, roman};

use crate::{MANUAL, Page, SOURCE, markdown};

const DOCUMENT: &str = include_str!("../../../docs/agent/configuration.md");

/// Where on a host lies what the document links to.
const INSTALLED: &[(&str, &str)] = &[
    (
        "../../agent/baker-agent.toml",
        "/etc/baker-agent/baker-agent.toml",
    ),
    (
        "../../agent/conf.d",
        "/usr/share/doc/baker-agent/examples/conf.d",
    ),
];

pub(crate) fn page(date: &str) -> Page {
    let mut roff = Roff::new();
    roff.control("TH", ["BAKER-AGENT.TOML", "5", date, SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("baker-agent.toml - configuration of baker-agent")]);
    roff.control("SH", ["DESCRIPTION"]);
    markdown::render(&mut roff, DOCUMENT, &|target| {
        let installed = INSTALLED.iter().find(|(linked, _)| *linked == target);
        installed.map(|(_, path)| (*path).to_owned())
    });
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("baker-agent"),
        roman("(8), "),
        bold("baker-agent-check"),
        roman("(8)"),
    ]);
    Page {
        file: "baker-agent.toml.5".into(),
        text: roff.render(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_things_are_installed() {
        for (linked, path) in INSTALLED {
            assert!(DOCUMENT.contains(linked), "{linked} is linked no more");
            assert!(page("2026-01-02").text.contains(&path.replace('-', "\\-")));
        }
    }

    #[test]
    fn every_table_of_the_configuration_has_a_section() {
        let text = page("2026-01-02").text;
        for heading in DOCUMENT.lines().filter_map(|it| it.strip_prefix("## ")) {
            let section = heading.replace('`', "");
            assert!(
                text.contains(&format!(".SH {section}\n"))
                    || text.contains(&format!(".SH \"{section}\"\n")),
                "{section}"
            );
        }
    }
}
