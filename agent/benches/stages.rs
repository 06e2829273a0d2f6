//! What the stages before the batch cost for each line, against finding line feeds in the same bytes in the same run.
//!
//! Lines are access-log lines of 222 bytes, at 5,000 a second, in buffers as the engine reads them. Time is that of
//! this thread on a processor; rounds alternate, and the median of each counts, so that a busy machine slows all alike.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use baker_agent::frame::{End, Framer, Multiline, Next, Patterns, Rules};
use baker_agent::stamp::{Format, Stamper};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const LINES: usize = 200_000;
const LINE_BYTES: usize = 222;
const LINES_A_SECOND: i64 = 5_000;
const BUFFER_BYTES: usize = 256 * 1024;
const ROUNDS: usize = 9;
/// 2026-11-23T06:00:11Z.
const START_S: i64 = 1_795_413_611;

/// Goes over the bytes; tells how many lines it saw.
type Run = Box<dyn Fn(&[u8]) -> usize>;

/// Something that is measured.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    run: Run,
    rounds_ns: Vec<u64>,
}

fn main() {
    let access = |format: &'static str| lines(move |at| strftime(at, format));
    let clf = "10.0.0.7 - - [%d/%b/%Y:%H:%M:%S %z]";
    let ms = "%Y-%m-%d %H:%M:%S,%3f";
    let rules = Rules::default;
    let traces = || Rules {
        multiline: Some(Multiline::parse(r"^\d\d\d\d-").unwrap()),
        ..Rules::default()
    };
    let patterns = || Rules {
        exclude: Patterns::parse(["GET /health ", "kube-probe"]).unwrap(),
        ..Rules::default()
    };
    let mut cases = [
        case(
            "memchr",
            access(clf),
            Box::new(|bytes| memchr::memchr_iter(b'\n', bytes).count()),
        ),
        case("frame", access(clf), framed(rules(), None)),
        case(
            "frame_stamp",
            access(clf),
            framed(rules(), Some("nginx-access")),
        ),
        case(
            "frame_stamp_columns",
            addresses(),
            framed(rules(), Some("nginx-access")),
        ),
        case(
            "frame_stamp_ms",
            access(ms),
            framed(rules(), Some("python")),
        ),
        case(
            "frame_stamp_syslog",
            access("%b %e %H:%M:%S"),
            framed(rules(), Some("syslog")),
        ),
        case(
            "frame_stamp_none",
            access("no time"),
            framed(rules(), Some("iso8601")),
        ),
        case("frame_multiline", access(ms), framed(traces(), None)),
        case("frame_patterns", access(clf), framed(patterns(), None)),
    ];
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let before = processor_ns();
            let events = (case.run)(black_box(&case.bytes));
            case.rounds_ns.push(processor_ns() - before);
            assert!(events >= LINES - 1, "{}: {events} events", case.name);
        }
    }
    let medians: Vec<u64> = cases
        .iter_mut()
        .map(|case| median(&mut case.rounds_ns))
        .collect();
    for (case, &ns) in cases.iter().zip(&medians) {
        let line_ns = ns as f64 / LINES as f64;
        let mb_a_second = case.bytes.len() as f64 * 1000.0 / ns as f64;
        println!(
            "stages, {:<20} {line_ns:>6.1} ns/line {mb_a_second:>7.0} MB/s",
            case.name
        );
    }
    for (case, &ns) in cases.iter().zip(&medians).skip(1) {
        println!(
            "ratio stages_{}_vs_memchr {:.1}",
            case.name,
            ns as f64 / medians[0] as f64
        );
    }
}

fn case(name: &'static str, bytes: Vec<u8>, run: Run) -> Case {
    Case {
        name,
        bytes,
        run,
        rounds_ns: Vec::new(),
    }
}

/// Frames, and stamps where there is a preset to stamp by; tells how many events there were.
fn framed(rules: Rules, preset: Option<&'static str>) -> Run {
    let rules = Arc::new(rules);
    let format = preset.map(|name| Arc::new(Format::preset(name).unwrap()));
    Box::new(move |bytes| {
        let mut framer = Framer::new(Arc::clone(&rules));
        let mut stamper = Stamper::new(format.clone(), TimeZone::UTC);
        let (mut at, mut events) = (0, 0);
        loop {
            let from = at;
            let to = bytes.len().min(from + BUFFER_BYTES);
            while let Next::Event(event) = framer.next(&bytes[at..to], End::More) {
                at += event.bytes;
                events += 1;
                if format.is_some() {
                    black_box(stamper.stamp(&event.message, START_S * 1000));
                }
                black_box(&event.message);
            }
            if at == from {
                return events;
            }
        }
    })
}

fn strftime(at: Timestamp, format: &str) -> String {
    at.strftime(format).to_string()
}

/// Lines of the benchmark's length, with what `start` makes of the time in front.
fn lines(mut start: impl FnMut(Timestamp) -> String) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LINES * LINE_BYTES);
    for line in 0..LINES {
        let ms = START_S * 1000 + line as i64 * 1000 / LINES_A_SECOND;
        let mut text = start(Timestamp::from_millisecond(ms).unwrap());
        text.push_str(&format!(
            r#" "GET /articles/{line:07}?page=2 HTTP/1.1" 200 5316 "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64)" "#
        ));
        text.extend(std::iter::repeat_n('x', LINE_BYTES - 1 - text.len()));
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Access-log lines whose stamps stand now here, now there.
fn addresses() -> Vec<u8> {
    let mut number = 0_u32;
    lines(|at| {
        // Knuth's multiplier: neighbours far from each other.
        number = number.wrapping_add(2_654_435_761);
        let address = Ipv4Addr::from(number);
        strftime(at, &format!("{address} - - [%d/%b/%Y:%H:%M:%S %z]"))
    })
}

/// How long this thread has been on a processor (the first number of `schedstat`, see proc(5)).
fn processor_ns() -> u64 {
    // The kernel brings the number up to date when the thread might give way.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn median(rounds: &mut [u64]) -> u64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
