//! Every metric: its name, its unit, and which number it is. The one place that knows; docs/agent/metrics.md is held to it by a test.

use crate::sample::{Disk, Family, Load, Memory, Mount, Own, Processes, Sockets, Swap};

use super::Unit;
use super::change::{DiskChange, InterfaceChange, OwnChange, Shares};

/// A metric that is read off a `T`.
pub(super) struct Row<T> {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// `None` where this `T` has no such number.
    pub(super) value: fn(&T) -> Option<f64>,
}

/// A metric that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
    /// What it belongs to.
    pub family: Family,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// Every metric that can be derived, by family.
pub fn metrics() -> impl Iterator<Item = Metric> {
    listed(SHARES, Family::Cpu, &["cpu"])
        .chain(listed(MEMORY, Family::Mem, &[]))
        .chain(listed(SWAP, Family::Swap, &[]))
        .chain(listed(MOUNT, Family::Disk, &["path", "device", "fstype"]))
        .chain(listed(DISK_CHANGE, Family::DiskIo, &["name"]))
        .chain(listed(DISK, Family::DiskIo, &["name"]))
        .chain(listed(INTERFACE_CHANGE, Family::Net, &["interface"]))
        .chain(listed(SOCKETS, Family::Netstat, &[]))
        .chain(listed(PROCESSES, Family::Processes, &[]))
        .chain(listed(LOAD, Family::Load, &[]))
        .chain(listed(OWN, Family::Agent, &[]))
        .chain(listed(OWN_CHANGE, Family::Agent, &[]))
}

fn listed<T>(
    rows: &'static [Row<T>],
    family: Family,
    labels: &'static [&'static str],
) -> impl Iterator<Item = Metric> {
    rows.iter().map(move |row| Metric {
        name: row.name,
        unit: row.unit,
        family,
        labels,
    })
}

macro_rules! rows {
    ($($(#[$doc:meta])* $table:ident: $thing:ty { $($name:literal $unit:ident $value:expr;)* })*) => {$(
        $(#[$doc])*
        pub(super) const $table: &[Row<$thing>] = &[$(
            Row { name: $name, unit: Unit::$unit, value: $value },
        )*];
    )*};
}

rows! {
    /// `active` is all but `idle`: waiting and stolen time are in it, as in the CloudWatch agent's.
    SHARES: Shares {
        "cpu_usage_active" Percent |s| percent(1.0 - s.idle, 1.0);
        "cpu_usage_user" Percent |s| percent(s.user, 1.0);
        "cpu_usage_system" Percent |s| percent(s.system, 1.0);
        "cpu_usage_iowait" Percent |s| percent(s.iowait, 1.0);
        "cpu_usage_steal" Percent |s| percent(s.steal, 1.0);
        "cpu_usage_idle" Percent |s| percent(s.idle, 1.0);
        "cpu_usage_nice" Percent |s| percent(s.nice, 1.0);
        "cpu_usage_irq" Percent |s| percent(s.irq, 1.0);
        "cpu_usage_softirq" Percent |s| percent(s.softirq, 1.0);
        "cpu_usage_guest" Percent |s| percent(s.guest, 1.0);
        "cpu_usage_guest_nice" Percent |s| percent(s.guest_nice, 1.0);
    }

    MEMORY: Memory {
        "mem_total" Bytes |m| number(m.total_bytes);
        "mem_used" Bytes |m| number(used(m));
        "mem_used_percent" Percent |m| percent(used(m) as f64, m.total_bytes as f64);
        "mem_available" Bytes |m| number(m.available_bytes?);
        "mem_available_percent" Percent |m| percent(m.available_bytes? as f64, m.total_bytes as f64);
        "mem_free" Bytes |m| number(m.free_bytes);
        "mem_buffered" Bytes |m| number(m.buffers_bytes);
        "mem_cached" Bytes |m| number(cached(m));
        "mem_active" Bytes |m| number(m.active_bytes);
        "mem_inactive" Bytes |m| number(m.inactive_bytes);
    }

    /// Without swap space all are 0.
    SWAP: Swap {
        "swap_used" Bytes |s| number(s.total_bytes.saturating_sub(s.free_bytes));
        "swap_used_percent" Percent |s| match s.total_bytes {
            0 => Some(0.0),
            total => percent(total.saturating_sub(s.free_bytes) as f64, total as f64),
        };
        "swap_free" Bytes |s| number(s.free_bytes);
    }

    /// `free` is what anybody may use, and `used_percent` the used part of what anybody may: df(1).
    MOUNT: Mount {
        "disk_total" Bytes |m| number(m.total_bytes);
        "disk_used" Bytes |m| number(occupied(m));
        "disk_free" Bytes |m| number(m.available_bytes);
        "disk_used_percent" Percent |m| percent(
            occupied(m) as f64,
            occupied(m) as f64 + m.available_bytes as f64,
        );
        "disk_inodes_total" Count |m| number(m.inodes);
        "disk_inodes_used" Count |m| number(m.inodes.saturating_sub(m.inodes_free));
        "disk_inodes_free" Count |m| number(m.inodes_free);
    }

    DISK_CHANGE: DiskChange {
        "diskio_reads" Count |d| number(d.reads?);
        "diskio_writes" Count |d| number(d.writes?);
        "diskio_read_bytes" Bytes |d| number(d.read_bytes?);
        "diskio_write_bytes" Bytes |d| number(d.written_bytes?);
        "diskio_read_time" Milliseconds |d| number(d.read_ms?);
        "diskio_write_time" Milliseconds |d| number(d.write_ms?);
        "diskio_io_time" Milliseconds |d| number(d.io_ms?);
        "diskio_weighted_io_time" Milliseconds |d| number(d.weighted_io_ms?);
    }

    DISK: Disk {
        "diskio_iops_in_progress" Count |d| number(d.in_progress);
    }

    INTERFACE_CHANGE: InterfaceChange {
        "net_bytes_sent" Bytes |i| number(i.sent_bytes?);
        "net_bytes_recv" Bytes |i| number(i.received_bytes?);
        "net_packets_sent" Count |i| number(i.sent_packets?);
        "net_packets_recv" Count |i| number(i.received_packets?);
        "net_err_in" Count |i| number(i.received_errors?);
        "net_err_out" Count |i| number(i.sent_errors?);
        "net_drop_in" Count |i| number(i.received_drops?);
        "net_drop_out" Count |i| number(i.sent_drops?);
    }

    SOCKETS: Sockets {
        "netstat_tcp_established" Count |s| number(s.tcp.established);
        "netstat_tcp_syn_sent" Count |s| number(s.tcp.syn_sent);
        "netstat_tcp_syn_recv" Count |s| number(s.tcp.syn_recv);
        "netstat_tcp_fin_wait1" Count |s| number(s.tcp.fin_wait1);
        "netstat_tcp_fin_wait2" Count |s| number(s.tcp.fin_wait2);
        "netstat_tcp_time_wait" Count |s| number(s.tcp.time_wait);
        "netstat_tcp_close" Count |s| number(s.tcp.close);
        "netstat_tcp_close_wait" Count |s| number(s.tcp.close_wait);
        "netstat_tcp_last_ack" Count |s| number(s.tcp.last_ack);
        "netstat_tcp_listen" Count |s| number(s.tcp.listen);
        "netstat_tcp_closing" Count |s| number(s.tcp.closing);
        "netstat_udp_socket" Count |s| number(s.udp);
    }

    PROCESSES: Processes {
        "processes_total" Count |p| number(p.total);
        "processes_total_threads" Count |p| number(p.threads);
        "processes_running" Count |p| number(p.running);
        "processes_sleeping" Count |p| number(p.sleeping);
        "processes_blocked" Count |p| number(p.blocked);
        "processes_idle" Count |p| number(p.idle);
        "processes_stopped" Count |p| number(p.stopped);
        "processes_zombies" Count |p| number(p.zombies);
        "processes_dead" Count |p| number(p.dead);
        "processes_paging" Count |p| number(p.paging);
    }

    /// Not the CloudWatch agent's, which has none; Telegraf's names.
    LOAD: Load {
        "system_load1" None |l| Some(l.one);
        "system_load5" None |l| Some(l.five);
        "system_load15" None |l| Some(l.fifteen);
    }

    OWN: Own {
        "baker_agent_rss" Bytes |o| number(o.resident_bytes);
    }

    /// Of one processor, so that it says the same on every instance type.
    OWN_CHANGE: OwnChange {
        "baker_agent_cpu" Percent |o| Some(100.0 * o.cpu_share);
    }
}

/// A double holds every number up to 2⁵³; beyond it is the nearest one.
fn number(value: u64) -> Option<f64> {
    Some(value as f64)
}

/// `None` of nothing.
fn percent(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (100.0 * part / whole).clamp(0.0, 100.0))
}

/// Slab memory that can be given back counts as cache, as in free(1).
fn cached(memory: &Memory) -> u64 {
    memory.cached_bytes.saturating_add(memory.reclaimable_bytes)
}

/// What neither is free nor can be had for the asking.
fn used(memory: &Memory) -> u64 {
    memory
        .total_bytes
        .saturating_sub(memory.free_bytes)
        .saturating_sub(memory.buffers_bytes)
        .saturating_sub(cached(memory))
}

fn occupied(mount: &Mount) -> u64 {
    mount.total_bytes.saturating_sub(mount.free_bytes)
}
