//! What is written, as those read it whom it is written for: groff and bash.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

fn written() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    super::write(directory.path(), "2026-01-02").unwrap();
    directory
}

#[test]
fn groff_reads_every_page_without_a_warning() {
    let directory = written();
    let mut seen = 0;
    for page in fs::read_dir(directory.path().join("man")).unwrap() {
        let page = page.unwrap().path();
        let output = Command::new("groff")
            .args(["-K", "utf8", "-T", "utf8", "-man", "-ww", "-P", "-cbou"])
            .arg(&page)
            .output()
            .unwrap_or_else(|error| panic!("groff (package groff-base): {error}"));
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaints.is_empty(),
            "{}: {complaints}",
            page.display()
        );
        let text = String::from_utf8(output.stdout).unwrap();
        for heading in ["NAME", "DESCRIPTION", "SEE ALSO"] {
            assert!(
                text.contains(heading),
                "{} has no {heading}:\n{text}",
                page.display()
            );
        }
        seen += 1;
    }
    assert!(seen > 3, "{seen} pages");
}

#[test]
fn completions_know_the_commands() {
    let directory = written();
    let completions = directory.path().join("completions");
    for file in ["baker-agent.bash", "_baker-agent", "baker-agent.fish"] {
        let text = fs::read_to_string(completions.join(file)).unwrap();
        for word in ["run", "check", "status", "state-dir"] {
            assert!(text.contains(word), "{file} does not know {word}");
        }
    }
    // What bash offers after `baker-agent sta`.
    let script = format!(
        r#". {}/baker-agent.bash && offer=$(complete -p baker-agent | sed 's/.* -F \([^ ]*\).*/\1/') &&
        COMP_WORDS=(baker-agent sta) COMP_CWORD=1 && "$offer" baker-agent sta baker-agent && echo "${{COMPREPLY[@]}}""#,
        completions.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "status",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
