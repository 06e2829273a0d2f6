//! What it costs to look at this host once, family by family, and what other ways of looking cost in the same run.
//!
//! Time is that of this thread on a processor, user and kernel; rounds alternate, and the median of each counts. `ratio` lines
//! give another way's time as a multiple of the agent's. Give a number for as many pairs of connected TCP sockets more.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fs;
use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use baker_agent::clock::Now;
use baker_agent::derive::{Rules, Wanted, derive};
use baker_agent::sample::{Collect, Families, Family, Root, Sampler};
use nix::time::{ClockId, clock_gettime};
use sysinfo::{
    DiskRefreshKind, Disks, MemoryRefreshKind, Networks, ProcessRefreshKind, ProcessesToUpdate,
    System,
};

const ROUNDS: usize = 201;

/// Something that is measured.
struct Case {
    name: String,
    /// The case this one is another way for.
    instead_of: Option<&'static str>,
    once: Box<dyn FnMut()>,
    took: Vec<Duration>,
}

fn case(name: impl Into<String>, once: impl FnMut() + 'static) -> Case {
    Case {
        name: name.into(),
        instead_of: None,
        once: Box::new(once),
        took: Vec::new(),
    }
}

fn other(name: &str, instead_of: &'static str, once: impl FnMut() + 'static) -> Case {
    Case {
        instead_of: Some(instead_of),
        ..case(name, once)
    }
}

fn main() {
    let pairs = std::env::args().find_map(|argument| argument.parse().ok());
    let connections = connected(pairs.unwrap_or_default());
    let rss_kib = || field("/proc/self/status", "VmRSS:");
    let mut told = rss_kib();
    print!("resident memory in KiB, of each first look:");
    for family in Family::ALL {
        drop(sampler([family].into_iter().collect()).sample(now(0)));
        print!(" {} {}", family.word(), rss_kib().saturating_sub(told));
        told = rss_kib();
    }
    let mut all = sampler(Families::all());
    let first = all.sample(now(0)).0;
    for seconds in 1..100 {
        black_box(all.sample(now(seconds)));
    }
    println!(", of a hundred more {}", rss_kib().saturating_sub(told));
    let second = all.sample(now(100)).0;
    let rules = Rules {
        wanted: Wanted::all(),
    };
    let points = derive(Some(&first), &second, &rules).len();
    println!(
        "processes {}, sockets {}, mounts {}, disks {}, interfaces {}; {points} points",
        second.processes.unwrap().total,
        connections.len(),
        second.mounts.as_ref().unwrap().len(),
        second.disks.as_ref().unwrap().len(),
        second.interfaces.as_ref().unwrap().len(),
    );

    let mut cases: Vec<Case> = Family::ALL
        .into_iter()
        .map(|family| {
            let mut sampler = sampler([family].into_iter().collect());
            case(family.word(), move || {
                drop(black_box(sampler.sample(now(0))))
            })
        })
        .collect();
    cases.push(case("all", move || drop(black_box(all.sample(now(0))))));
    cases.push(case("derive", move || {
        drop(black_box(derive(Some(&first), &second, &rules)));
    }));
    cases.extend(other_ways());
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let begin = cpu();
            (case.once)();
            case.took.push(cpu() - begin);
        }
    }
    let median = |case: &Case| {
        let mut took = case.took.clone();
        took.sort_unstable();
        took[took.len() / 2]
    };
    for case in &cases {
        println!("{:44} {:9.1} µs", case.name, micros(median(case)));
    }
    for case in &cases {
        if let Some(ours) = case.instead_of {
            let ours = cases.iter().find(|case| case.name == ours).unwrap();
            let ratio = median(case).as_secs_f64() / median(ours).as_secs_f64();
            println!("ratio {} {ratio:.2}", case.name.replace(' ', "_"));
        }
    }
    drop(connections);
}

/// What else could be asked for the same numbers.
fn other_ways() -> Vec<Case> {
    let read = |path: &'static str| move || drop(black_box(fs::read(path)));
    let mut memory = System::new().unwrap();
    let mut processes = System::new().unwrap();
    let mut networks = Networks::new().unwrap();
    let mut disks = Disks::new().unwrap();
    vec![
        other("cpu: read /proc/stat, no more", "cpu", read("/proc/stat")),
        other(
            "netstat: read /proc/net/tcp, no more",
            "netstat",
            read("/proc/net/tcp"),
        ),
        other("mem: sysinfo", "mem", move || {
            memory.refresh_memory_specifics(MemoryRefreshKind::everything());
        }),
        other("net: sysinfo", "net", move || networks.refresh(true)),
        other("disk and diskio: sysinfo", "disk", move || {
            disks.refresh_specifics(true, DiskRefreshKind::everything());
        }),
        other("processes: sysinfo", "processes", move || {
            let what = ProcessRefreshKind::nothing().without_tasks();
            processes.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        }),
    ]
}

fn sampler(families: Families) -> Sampler {
    let collect = Collect {
        families,
        ..Collect::default()
    };
    Sampler::new(collect, Root::host())
}

fn now(seconds: u64) -> Now {
    Now {
        monotonic: Duration::from_secs(seconds),
        unix_ms: 0,
    }
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// So many pairs of sockets, over as many addresses of this host as it takes.
fn connected(pairs: usize) -> Vec<(TcpStream, TcpStream)> {
    const PAIRS_AN_ADDRESS: usize = 20_000;
    let mut held = Vec::new();
    for first in (0..pairs).step_by(PAIRS_AN_ADDRESS) {
        let address = format!("127.0.0.{}:0", 2 + first / PAIRS_AN_ADDRESS);
        let listener = TcpListener::bind(address).unwrap();
        for _ in first..pairs.min(first + PAIRS_AN_ADDRESS) {
            let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            held.push((one, listener.accept().unwrap().0));
        }
    }
    held
}
