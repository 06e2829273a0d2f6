use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn started(stage: Stage) -> Event {
    Event::StageStarted { stage }
}

fn finished(stage: Stage, outcome: Outcome) -> Event {
    Event::StageFinished { stage, outcome }
}

fn step(name: &str) -> Event {
    Event::StepStarted {
        name: name.into(),
        layer: "system".into(),
        number: 2,
        of: 5,
    }
}

fn output(line: &str) -> Event {
    Event::Output {
        stream: OutputStream::Stdout,
        line: line.into(),
    }
}

fn waiting(detail: &str) -> Event {
    Event::Waiting {
        what: "image ami-1".into(),
        detail: detail.into(),
        elapsed: at(3000),
    }
}

fn lines(view: &mut View, events: &[(u64, Event)]) -> Vec<String> {
    events
        .iter()
        .flat_map(|(ms, event)| view.apply(at(*ms), event))
        .collect()
}

#[test]
fn the_live_line_shows_stage_step_time_and_the_last_output() {
    let mut view = View::new(Style::Live { color: false });
    let lasting = lines(
        &mut view,
        &[
            (1000, started(Stage::Provision)),
            (1500, step("install nginx")),
            (2000, output("Unpacking nginx …")),
            (2000, output("   ")),
        ],
    );
    assert!(lasting.is_empty());
    assert_eq!(
        view.live(at(13_300), 80),
        "⠸ provision  12.3 s  [2/5] install nginx  Unpacking nginx …"
    );
    assert_eq!(view.live(at(13_300), 30), "⠸ provision  12.3 s  [2/5] i…");
}

#[test]
fn a_stage_that_ends_leaves_one_line() {
    let mut view = View::new(Style::Live { color: false });
    let note = Event::Note {
        message: "source image ami-1".into(),
    };
    let lasting = lines(
        &mut view,
        &[
            (0, started(Stage::Facts)),
            (300, note),
            (400, finished(Stage::Facts, Outcome::Ok)),
            (400, started(Stage::Provision)),
            (500, step("install nginx")),
            (
                900,
                Event::StepFinished {
                    outcome: Outcome::Failed,
                },
            ),
            (161_400, finished(Stage::Provision, Outcome::Failed)),
        ],
    );
    assert_eq!(
        lasting,
        [
            "✓ facts       0.4 s source image ami-1",
            "✗ provision 2 m 41 s [2/5] install nginx",
        ]
    );
    assert_eq!(view.live(at(200_000), 80), "", "no stage runs");
}

#[test]
fn a_log_has_a_line_for_each_event() {
    let mut view = View::new(Style::Plain);
    let logged = lines(
        &mut view,
        &[
            (0, started(Stage::Provision)),
            (100, step("install nginx")),
            (200, output("Unpacking")),
            (1200, finished(Stage::Provision, Outcome::Ok)),
        ],
    );
    assert_eq!(
        logged,
        [
            "   0.0 s provision",
            "   0.1 s   [2/5] system: install nginx",
            "   0.2 s   | Unpacking",
            "   1.2 s provision done in 1.2 s",
        ]
    );
}

#[test]
fn a_log_repeats_a_wait_only_when_it_changes_or_now_and_then() {
    let mut view = View::new(Style::Plain);
    let shown = |view: &mut View, ms, detail| view.apply(at(ms), &waiting(detail)).len();
    assert_eq!(shown(&mut view, 0, "pending"), 1);
    assert_eq!(shown(&mut view, 5_000, "pending"), 0);
    assert_eq!(shown(&mut view, 8_000, "snapshot 40%"), 1);
    for ms in (9_000..23_000).step_by(1_000) {
        assert_eq!(shown(&mut view, ms, "snapshot 40%"), 0);
    }
    assert_eq!(
        shown(&mut view, 23_000, "snapshot 40%"),
        1,
        "a sign of life"
    );
}

#[test]
fn what_a_host_prints_cannot_drive_the_terminal() {
    let hostile = "\x1b[2J\x1b]0;owned\x07a\x1b[31mred\x1b[0m\tb\u{9b}31m\r\x08";
    let mut view = View::new(Style::Plain);
    let logged = lines(&mut view, &[(0, output(hostile))]);
    assert_eq!(logged, ["   0.0 s   | ared b31m"]);
}

proptest! {
    #[test]
    fn a_live_line_never_exceeds_the_terminal(text in "\\PC{0,200}", columns in 0usize..120) {
        let mut view = View::new(Style::Live { color: true });
        view.apply(at(0), &started(Stage::Image));
        view.apply(at(0), &step(&text));
        view.apply(at(0), &output(&text));
        prop_assert!(width(&view.live(at(100), columns)) < columns.max(1));
    }
}
