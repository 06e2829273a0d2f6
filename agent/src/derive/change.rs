//! What happened to one thing between two looks at it.

use std::time::Duration;

use crate::sample::{Disk, Interface, Own, Ticks};

use super::growth::growth;

/// A sector of `/proc/diskstats`, whatever the device's own are (iostats.rst).
const SECTOR_BYTES: u64 = 512;

/// What a processor did with its time, as parts of it that add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    pub(super) user: f64,
    pub(super) nice: f64,
    pub(super) system: f64,
    pub(super) idle: f64,
    pub(super) iowait: f64,
    pub(super) irq: f64,
    pub(super) softirq: f64,
    pub(super) steal: f64,
    pub(super) guest: f64,
    pub(super) guest_nice: f64,
}

impl Shares {
    /// `None` if no tick has passed, or the processor's counters began anew (it was offline).
    ///
    /// Idle, waiting and stolen time may go back a little while the rest goes on: they count as nothing then.
    pub(super) fn between(before: &Ticks, after: &Ticks) -> Option<Self> {
        if sum(after) < sum(before) {
            return None;
        }
        let grown = |of: fn(&Ticks) -> u64| of(after).saturating_sub(of(before));
        // Time of guests is user time as well.
        let guest = grown(|ticks| ticks.guest);
        let user = grown(|ticks| ticks.user).max(guest);
        let guest_nice = grown(|ticks| ticks.guest_nice);
        let nice = grown(|ticks| ticks.nice).max(guest_nice);
        let parts = [
            user - guest,
            nice - guest_nice,
            grown(|ticks| ticks.system),
            grown(|ticks| ticks.idle),
            grown(|ticks| ticks.iowait),
            grown(|ticks| ticks.irq),
            grown(|ticks| ticks.softirq),
            grown(|ticks| ticks.steal),
            guest,
            guest_nice,
        ];
        // Floating point: the sum of counters that make no sense may be larger than any counter.
        let all: f64 = parts.iter().map(|part| *part as f64).sum();
        if all == 0.0 {
            return None;
        }
        let [
            user,
            nice,
            system,
            idle,
            iowait,
            irq,
            softirq,
            steal,
            guest,
            guest_nice,
        ] = parts.map(|part| part as f64 / all);
        Some(Self {
            user,
            nice,
            system,
            idle,
            iowait,
            irq,
            softirq,
            steal,
            guest,
            guest_nice,
        })
    }
}

/// All time there was; that of guests is in it already.
fn sum(ticks: &Ticks) -> u64 {
    let Ticks {
        user,
        nice,
        system,
        idle,
        iowait,
        irq,
        softirq,
        steal,
        guest: _,
        guest_nice: _,
    } = *ticks;
    [user, nice, system, idle, iowait, irq, softirq, steal]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// What some counters of one thing grew by; `None` if they began anew.
///
/// A thing that begins anew does so with all of its counters. A driver may set back a single one: that one tells nothing then, and the others go on.
fn together<const N: usize>(counters: [(u64, u64); N]) -> Option<[Option<u64>; N]> {
    let grown = counters.map(|(before, after)| growth(before, after));
    let fallen = grown.iter().filter(|grown| grown.is_none()).count();
    (fallen <= 1).then_some(grown)
}

/// What a block device did. `None` is what its driver set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DiskChange {
    pub(super) reads: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) read_ms: Option<u64>,
    pub(super) writes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
    pub(super) write_ms: Option<u64>,
    pub(super) io_ms: Option<u64>,
    pub(super) weighted_io_ms: Option<u64>,
}

impl DiskChange {
    /// `None` if its counters began anew.
    pub(super) fn between(before: &Disk, after: &Disk) -> Option<Self> {
        let both = |of: fn(&Disk) -> u64| (of(before), of(after));
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES);
        let [
            reads,
            read_sectors,
            read_ms,
            writes,
            written_sectors,
            write_ms,
            io_ms,
            weighted_io_ms,
        ] = together([
            both(|disk| disk.reads),
            both(|disk| disk.read_sectors),
            both(|disk| disk.read_ms),
            both(|disk| disk.writes),
            both(|disk| disk.written_sectors),
            both(|disk| disk.write_ms),
            both(|disk| disk.io_ms),
            both(|disk| disk.weighted_io_ms),
        ])?;
        Some(Self {
            reads,
            read_bytes: read_sectors.map(bytes),
            read_ms,
            writes,
            written_bytes: written_sectors.map(bytes),
            write_ms,
            io_ms,
            weighted_io_ms,
        })
    }
}

/// What went through a network interface. `None` is what its driver set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InterfaceChange {
    pub(super) received_bytes: Option<u64>,
    pub(super) received_packets: Option<u64>,
    pub(super) received_errors: Option<u64>,
    pub(super) received_drops: Option<u64>,
    pub(super) sent_bytes: Option<u64>,
    pub(super) sent_packets: Option<u64>,
    pub(super) sent_errors: Option<u64>,
    pub(super) sent_drops: Option<u64>,
}

impl InterfaceChange {
    /// `None` if its counters began anew.
    pub(super) fn between(before: &Interface, after: &Interface) -> Option<Self> {
        let both = |of: fn(&Interface) -> u64| (of(before), of(after));
        let [
            received_bytes,
            received_packets,
            received_errors,
            received_drops,
            sent_bytes,
            sent_packets,
            sent_errors,
            sent_drops,
        ] = together([
            both(|interface| interface.received_bytes),
            both(|interface| interface.received_packets),
            both(|interface| interface.received_errors),
            both(|interface| interface.received_drops),
            both(|interface| interface.sent_bytes),
            both(|interface| interface.sent_packets),
            both(|interface| interface.sent_errors),
            both(|interface| interface.sent_drops),
        ])?;
        Some(Self {
            received_bytes,
            received_packets,
            received_errors,
            received_drops,
            sent_bytes,
            sent_packets,
            sent_errors,
            sent_drops,
        })
    }
}

/// What the agent took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OwnChange {
    /// Of one processor.
    pub(super) cpu_share: f64,
}

impl OwnChange {
    /// `interval` is time in which the host was awake: a process does not run while it sleeps.
    pub(super) fn between(before: &Own, after: &Own, interval: Duration) -> Option<Self> {
        let cpu_ms = after.cpu_ms.checked_sub(before.cpu_ms)?;
        let cpu_share = cpu_ms as f64 / 1000.0 / interval.as_secs_f64();
        cpu_share.is_finite().then_some(Self { cpu_share })
    }
}
