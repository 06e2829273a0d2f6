//! The real logrotate.

use std::fs;
use std::process::Command;

use super::desk::Desk;

/// Rotates the log by this configuration, three times, with lines before and after each; half of them unseen before it.
fn rotate_thrice(directives: &str) {
    let mut desk = Desk::new(&["*.log"]);
    let mut written = String::new();
    for round in 0..3 {
        for part in ["seen", "unseen"] {
            let lines: String = (0..50)
                .map(|n| format!("{part} {n} of round {round}\n"))
                .collect();
            desk.append("a.log", &lines);
            written.push_str(&lines);
            if part == "seen" {
                desk.settle();
            }
        }
        let config = desk.path("rotate.conf");
        let log = desk.path("a.log");
        fs::write(
            &config,
            format!("{} {{\n rotate 9\n {directives}\n}}\n", log.display()),
        )
        .unwrap();
        // A dated name can be given only once.
        let directives_now = fs::read_to_string(&config)
            .unwrap()
            .replace("ROUND", &round.to_string());
        fs::write(&config, directives_now).unwrap();
        let output = Command::new("logrotate")
            .arg("--force")
            .arg("--state")
            .arg(desk.path("state"))
            .arg(&config)
            .output()
            .expect("logrotate is not installed; `make test` installs it");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        if round == 1 {
            desk.restart_keeping();
        }
    }
    desk.append("a.log", "last\n");
    written.push_str("last\n");
    desk.settle();
    let mut lines: Vec<String> = desk.all_text().lines().map(str::to_owned).collect();
    let mut expected: Vec<&str> = written.lines().collect();
    lines.sort();
    expected.sort_unstable();
    assert_eq!(lines, expected, "{:?}", desk.sights);
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn create() {
    rotate_thrice("create");
}

#[test]
fn create_and_compress() {
    rotate_thrice("create\n compress");
}

#[test]
fn create_and_compress_later() {
    rotate_thrice("create\n compress\n delaycompress");
}

#[test]
fn dates() {
    rotate_thrice("create\n dateext\n dateformat -%Y%m%d-ROUND");
}

#[test]
fn copytruncate() {
    rotate_thrice("copytruncate");
}

#[test]
fn copytruncate_and_compress() {
    rotate_thrice("copytruncate\n compress");
}

#[test]
fn nothing_is_created() {
    rotate_thrice("nocreate");
}
