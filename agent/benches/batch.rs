//! What it costs to write a million access-log lines into request bodies.
//!
//! Yardsticks of the same run: copying the same lines, and serde_json writing the same events into the same kind of buffer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use baker_agent::account::{GenerationId, Span};
use baker_agent::batch::{Added, Batcher, Limits};
use baker_agent::clock::Now;
use baker_agent::target::{GroupClass, Target};

const LINES: usize = 1_000_000;
const ROUNDS: usize = 7;
const NOW_MS: i64 = 1_700_000_000_000;

#[derive(serde::Serialize)]
struct Event<'a> {
    timestamp: i64,
    message: &'a str,
}

/// Ten thousand different lines of 222 bytes with their newline, as nginx writes them.
fn lines() -> Vec<String> {
    let line = |n: usize| {
        let start = format!(
            r#"10.0.{}.{} - - [14/Nov/2023:22:13:20 +0000] "GET /api/v1/items/{n}?page={} HTTP/1.1" 200 {} "https://example.com/list" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "#,
            n % 200,
            n % 251,
            n % 17,
            n * 7 % 100_000
        );
        format!("{start:x<220}\"")
    };
    (0..10_000).map(line).collect()
}

/// The least CPU time of some rounds: what else happens on the machine only adds.
fn best(mut work: impl FnMut() -> usize) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = cpu_time();
        black_box(work());
        cpu_time() - start
    });
    times.min().unwrap_or_default()
}

/// How long this thread has run on a CPU (proc(5): the first field of `schedstat`, in nanoseconds).
fn cpu_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = schedstat
        .split(' ')
        .next()
        .and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

fn main() {
    let lines = lines();
    let all = || lines.iter().cycle().take(LINES);
    let target = Arc::new(Target {
        group: "group".into(),
        stream: "stream".into(),
        retention_days: None,
        class: GroupClass::Standard,
    });
    let now = Now {
        monotonic: Duration::ZERO,
        unix_ms: NOW_MS,
    };
    // Eight lines bear the same time, as in a busy access log.
    let unix_ms = |at: usize| NOW_MS + (at / 8) as i64;

    let copied = best(|| {
        let mut out = Vec::with_capacity(1 << 20);
        let mut bytes = 0;
        for line in all() {
            if out.len() + line.len() > 1 << 20 {
                bytes += black_box(&out).len();
                out.clear();
            }
            out.extend_from_slice(line.as_bytes());
        }
        bytes
    });
    let with_serde = best(|| {
        let mut out = Vec::with_capacity(1 << 21);
        let mut bytes = 0;
        for (at, message) in all().enumerate() {
            if out.len() > 1 << 20 {
                bytes += black_box(&out).len();
                out.clear();
            }
            let event = Event {
                timestamp: unix_ms(at),
                message,
            };
            if serde_json::to_writer(&mut out, &event).is_ok() {
                out.push(b',');
            }
        }
        bytes
    });
    let batched = best(|| {
        let mut batcher = Batcher::new(Limits::default(), 0);
        let mut bytes = 0;
        let mut start = 0;
        for (at, message) in all().enumerate() {
            let end = start + message.len() as u64 + 1;
            let span = Span {
                generation: GenerationId(1),
                start,
                end,
            };
            assert_eq!(
                batcher.add(&target, span, unix_ms(at), message, now),
                Added::Taken
            );
            start = end;
            while let Some(batch) = batcher.sealed() {
                bytes += batch.body.len();
                batcher.release(batch);
            }
        }
        bytes
    });
    let per_line = |time: Duration| time.as_secs_f64() * 1e9 / LINES as f64;
    println!("copy     {:6.1} ns a line", per_line(copied));
    println!("serde    {:6.1} ns a line", per_line(with_serde));
    println!("batcher  {:6.1} ns a line", per_line(batched));
    println!(
        "ratio batch_to_copy {:.2}",
        batched.as_secs_f64() / copied.as_secs_f64()
    );
    println!(
        "ratio batch_to_serde {:.2}",
        batched.as_secs_f64() / with_serde.as_secs_f64()
    );
}
