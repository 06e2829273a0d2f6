//! What one look at a host yields. Counters are as the kernel gives them: they may wrap, and begin anew.

use std::sync::Arc;

use crate::clock::Now;

/// A host at one instant. `None` is what was not asked for, or could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was looked at.
    pub at: Now,
    /// Time of the processors.
    pub cpu: Option<Cpu>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Swap space.
    pub swap: Option<Swap>,
    /// Load averages.
    pub load: Option<Load>,
    /// Space of file systems, one entry for each, in the order of their mounting.
    pub mounts: Option<Vec<Mount>>,
    /// I/O of block devices, in the kernel's order.
    pub disks: Option<Vec<Disk>>,
    /// Traffic of network interfaces, in the kernel's order.
    pub interfaces: Option<Vec<Interface>>,
    /// Sockets by state.
    pub sockets: Option<Sockets>,
    /// Processes by state.
    pub processes: Option<Processes>,
    /// This process itself.
    pub own: Option<Own>,
}

impl Sample {
    /// One that tells nothing.
    #[must_use]
    pub fn empty(at: Now) -> Self {
        Self {
            at,
            cpu: None,
            memory: None,
            swap: None,
            load: None,
            mounts: None,
            disks: None,
            interfaces: None,
            sockets: None,
            processes: None,
            own: None,
        }
    }
}

/// Time of the processors since boot (`/proc/stat`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All of them together.
    pub total: Ticks,
    /// Each by its number, if that was asked for; offline ones are missing.
    pub cores: Vec<(u32, Ticks)>,
}

/// What a processor did with its time, in ticks (`USER_HZ`, hundredths of a second) since boot. Some may go back a little: proc(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    /// User mode; holds `guest` too.
    pub user: u64,
    /// User mode at low priority; holds `guest_nice` too.
    pub nice: u64,
    /// Kernel mode.
    pub system: u64,
    /// Nothing to do.
    pub idle: u64,
    /// Nothing to do, but I/O under way.
    pub iowait: u64,
    /// Interrupts.
    pub irq: u64,
    /// Soft interrupts.
    pub softirq: u64,
    /// Taken by other guests of the hypervisor.
    pub steal: u64,
    /// Running guests.
    pub guest: u64,
    /// Running guests at low priority.
    pub guest_nice: u64,
}

/// Memory in bytes (`/proc/meminfo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// Used by nobody.
    pub free_bytes: u64,
    /// What new programs can have without swapping. `None` before Linux 3.14.
    pub available_bytes: Option<u64>,
    /// Buffers of block devices.
    pub buffers_bytes: u64,
    /// The page cache, with tmpfs.
    pub cached_bytes: u64,
    /// Slab memory that can be given back.
    pub reclaimable_bytes: u64,
    /// Used lately.
    pub active_bytes: u64,
    /// Not used lately.
    pub inactive_bytes: u64,
}

/// Swap space in bytes (`/proc/meminfo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swap {
    /// All of it; 0 without any.
    pub total_bytes: u64,
    /// Used by nobody.
    pub free_bytes: u64,
}

/// Tasks that run or wait for a disk, averaged (`/proc/loadavg`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

/// Space of one mounted file system (statvfs(3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub path: Arc<str>,
    /// What is mounted, without `/dev/`: `nvme0n1p1`.
    pub device: Arc<str>,
    /// Its type: `ext4`.
    pub fstype: Arc<str>,
    /// All blocks.
    pub total_bytes: u64,
    /// Blocks that nobody uses, those that only root may use among them.
    pub free_bytes: u64,
    /// Blocks that anybody may use.
    pub available_bytes: u64,
    /// All inodes; 0 where the file system has no fixed number of them.
    pub inodes: u64,
    /// Inodes that nobody uses.
    pub inodes_free: u64,
}

/// I/O of one block device since it appeared (`/proc/diskstats`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name without `/dev/`: `nvme0n1`.
    pub name: Arc<str>,
    /// Reads that are done.
    pub reads: u64,
    /// Sectors of 512 bytes read.
    pub read_sectors: u64,
    /// Time of all reads, in milliseconds, modulo 2³².
    pub read_ms: u64,
    /// Writes that are done.
    pub writes: u64,
    /// Sectors of 512 bytes written.
    pub written_sectors: u64,
    /// Time of all writes, in milliseconds, modulo 2³².
    pub write_ms: u64,
    /// Under way now. Not a counter.
    pub in_progress: u64,
    /// Time with I/O under way, in milliseconds, modulo 2³².
    pub io_ms: u64,
    /// The same, each request counted by itself.
    pub weighted_io_ms: u64,
}

/// Traffic of one network interface since it appeared (`/proc/net/dev`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name: `ens5`.
    pub name: Arc<str>,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Errors while receiving.
    pub received_errors: u64,
    /// Received and thrown away.
    pub received_drops: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Errors while sending.
    pub sent_errors: u64,
    /// Thrown away instead of sent.
    pub sent_drops: u64,
}

/// Sockets of the network namespace the agent runs in, IPv4 and IPv6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    /// TCP by state.
    pub tcp: TcpStates,
    /// UDP.
    pub udp: u64,
}

/// How many TCP sockets are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpStates {
    /// ESTABLISHED.
    pub established: u64,
    /// SYN_SENT.
    pub syn_sent: u64,
    /// SYN_RECV.
    pub syn_recv: u64,
    /// FIN_WAIT1.
    pub fin_wait1: u64,
    /// FIN_WAIT2.
    pub fin_wait2: u64,
    /// TIME_WAIT.
    pub time_wait: u64,
    /// CLOSE.
    pub close: u64,
    /// CLOSE_WAIT.
    pub close_wait: u64,
    /// LAST_ACK.
    pub last_ack: u64,
    /// LISTEN.
    pub listen: u64,
    /// CLOSING.
    pub closing: u64,
}

/// How many processes are in which state (`/proc/PID/stat`): those that the agent's user may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processes {
    /// `R`.
    pub running: u64,
    /// `S`.
    pub sleeping: u64,
    /// `D`: can't be interrupted, mostly waiting for a disk.
    pub blocked: u64,
    /// `I`: kernel threads with nothing to do.
    pub idle: u64,
    /// `T` and `t`: stopped, by a signal or by a debugger.
    pub stopped: u64,
    /// `Z`.
    pub zombies: u64,
    /// `X` and `x`.
    pub dead: u64,
    /// `W`: paging; not since Linux 2.6.
    pub paging: u64,
    /// All of them, in whatever state.
    pub total: u64,
    /// All their threads.
    pub threads: u64,
}

/// The agent's own process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// Memory that is resident, in bytes.
    pub resident_bytes: u64,
    /// Time on a processor since it began, all threads, in milliseconds.
    pub cpu_ms: u64,
}
