//! Pages of the commands, in section 8: what `--help` says, with what the commands share around it.

use std::io;

use baker_agent::config::DEFAULT_PATH;
use baker_agent::exit::Exit;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::{MANUAL, Page, SOURCE};

/// Of administrators' commands.
const SECTION: &str = "8";

/// Files that the commands share, and what is in them.
const FILES: &[(&str, &str)] = &[
    (
        DEFAULT_PATH,
        "The configuration, where neither --config nor BAKER_AGENT_CONFIG names another; see baker-agent.toml(5).",
    ),
    (
        "/etc/baker-agent/conf.d/*.toml",
        "More of it, read in order of the names.",
    ),
    (
        "/usr/share/doc/baker-agent/examples/",
        "Ready-made files for conf.d: syslog, nginx, gunicorn, Jenkins.",
    ),
    (
        "/var/lib/baker-agent/",
        "The ledger (the account of every byte), and the socket of \"baker-agent status\".",
    ),
];

/// Environment variables that the commands share.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("BAKER_AGENT_CONFIG", "The configuration's main file."),
    (
        "BAKER_AGENT_INSTANCE_ID",
        "Who this host is, instead of what the instance metadata service says.",
    ),
    (
        "AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, AWS_CA_BUNDLE, …",
        "As for other AWS tools; the configuration comes first.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
        "The way to AWS, where it leads through a proxy.",
    ),
];

/// A page for the command and one for each of its sub-commands.
pub(crate) fn pages(command: Command, date: &str) -> Vec<Page> {
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let commands: Vec<Command> = std::iter::once(&root)
        .chain(root.get_subcommands().filter(|sub| !sub.is_hide_set()))
        .cloned()
        .collect();
    let names: Vec<String> = commands.iter().map(title).collect();
    commands
        .into_iter()
        .map(|command| Page {
            file: format!("{}.{SECTION}", title(&command)),
            text: page(&command, &names, date),
        })
        .collect()
}

/// `baker-agent-run`.
fn title(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &Command, names: &[String], date: &str) -> String {
    let is_root = command.get_subcommands().next().is_some();
    let man = Man::new(command.clone())
        .title(title(command).to_uppercase())
        .section(SECTION)
        .date(date)
        .source(SOURCE)
        .manual(MANUAL);
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = by_clap(&man, command, is_root, &mut text);
    let mut ours = Roff::new();
    if let Some(help) = command.get_after_help() {
        after_help(&mut ours, &help.to_string());
    }
    if is_root {
        exit_status(&mut ours);
        definitions(&mut ours, "FILES", FILES);
        definitions(&mut ours, "ENVIRONMENT", ENVIRONMENT);
    } else {
        ours.control("SH", ["EXIT STATUS"]);
        ours.text([
            bold("baker-agent"),
            roman("(8) lists what each number means."),
        ]);
    }
    see_also(&mut ours, &title(command), names);
    text.extend_from_slice(ours.render().as_bytes());
    without_repeated_preamble(&String::from_utf8_lossy(&text))
}

fn by_clap(man: &Man, command: &Command, is_root: bool, text: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    if command.get_arguments().any(|it| !it.is_hide_set()) {
        man.render_options_section(text)?;
    }
    if is_root {
        man.render_subcommands_section(text)?;
    }
    Ok(())
}

/// Help's last part: a line such as `Examples:` heads a section, indented lines stand as they are.
fn after_help(roff: &mut Roff, help: &str) {
    let mut verbatim = false;
    for line in help.lines() {
        let indented = line.starts_with("  ");
        if indented != verbatim {
            roff.control(if indented { "nf" } else { "fi" }, []);
            verbatim = indented;
        }
        match line.strip_suffix(':') {
            Some(heading) if !indented => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            _ if line.trim().is_empty() => {
                roff.control("PP", []);
            }
            _ => {
                roff.text([roman(line.trim_start())]);
            }
        }
    }
    if verbatim {
        roff.control("fi", []);
    }
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
}

fn definitions(roff: &mut Roff, heading: &str, list: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, meaning) in list {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

fn see_also(roff: &mut Roff, own: &str, names: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for name in names.iter().filter(|name| *name != own) {
        line.extend([bold(name), roman(format!("({SECTION}), "))]);
    }
    line.extend([
        bold("baker-agent.toml"),
        roman("(5), "),
        bold("systemctl"),
        roman("(1)"),
    ]);
    roff.text(line);
}

/// Each part of a page comes with the definition of the apostrophe; one is enough.
fn without_repeated_preamble(text: &str) -> String {
    let preamble = Roff::new().render();
    format!("{preamble}{}", text.replace(&preamble, ""))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use baker_agent::cli::Cli;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_that_help_shows_has_a_page() {
        let pages = pages(Cli::command(), "2026-01-02");
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files[0], "baker-agent.8");
        let shown = Cli::command();
        for sub in shown.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let file = format!("baker-agent-{}.8", sub.get_name());
            assert!(files.contains(&file.as_str()), "{file} is not in {files:?}");
        }
        assert!(!files.contains(&"baker-agent-help.8"), "{files:?}");
    }

    #[test]
    fn the_head_names_section_date_and_version() {
        let pages = pages(Cli::command(), "2026-01-02");
        let head = pages[1].text.lines().find(|it| it.starts_with(".TH"));
        assert_eq!(
            head.unwrap(),
            format!(".TH BAKER-AGENT-RUN 8 2026-01-02 \"{SOURCE}\" \"{MANUAL}\"")
        );
    }

    #[test]
    fn every_exit_code_stands_on_the_main_page() {
        let pages = pages(Cli::command(), "2026-01-02");
        for exit in Exit::ALL {
            let entry = format!("\\fB{}\\fR\n", exit.code());
            assert!(pages[0].text.contains(&entry), "{entry:?}");
        }
    }

    #[test]
    fn examples_keep_their_lines() {
        let mut roff = Roff::new();
        after_help(&mut roff, "Examples:\n  a -b\n  .c\n\nAnd so on.");
        assert_eq!(
            roff.to_roff(),
            ".SH EXAMPLES\n.nf\na \\-b\n\\&.c\n.fi\n.PP\nAnd so on.\n"
        );
    }
}
