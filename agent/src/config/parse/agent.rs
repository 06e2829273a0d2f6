//! `[agent]`, `[limits]` and `[ship]`.

use std::time::Duration;

use super::rules;
use super::table::{Key, Table, key};
use crate::batch::MEMORY_BYTES_MIN;
use crate::config::Settings;

pub(super) const AGENT: &[Key] = &[
    key("state_dir", "\"/var/lib/baker-agent\""),
    key("instance_id", "\"i-0123456789abcdef0\""),
    key("region", "\"eu-west-1\""),
    key("endpoint_url", "\"https://logs.eu-west-1.amazonaws.com\""),
    key("profile", "\"logs\""),
    key("ca_bundle", "\"/etc/ssl/certs/ca-certificates.crt\""),
];

pub(super) const LIMITS: &[Key] = &[
    key("memory", "\"12MiB\""),
    key("in_flight", "6"),
    key("requests_per_second", "50"),
    key("files", "10000"),
    key("open_files", "1024"),
    key("backlog", "\"4GiB\""),
    key("backlog_files", "100"),
    key("sweep", "\"60s\""),
];

pub(super) const SHIP: &[Key] = &[
    key("flush_interval", "\"500ms\""),
    key("compression", "\"gzip\""),
    key("settle", "\"5s\""),
    key("drain", "\"20s\""),
];

const MAX_MEMORY_BYTES: u64 = 1 << 30;

const MAX_FILES: u32 = 1_000_000;

/// As often as where nothing tells of a write.
const MIN_SWEEP: Duration = Duration::from_secs(1);
/// Longer would save nothing more.
const MAX_SWEEP: Duration = Duration::from_secs(10 * 60);

/// An account's quota of PutLogEvents a second, in the regions where it is highest.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
const MAX_REQUESTS_PER_SECOND: u32 = 5_000;

/// Oftener than this, requests would cost more than they carry.
const MIN_FLUSH: Duration = Duration::from_millis(40);
/// Every line is to arrive well within a minute.
const MAX_FLUSH: Duration = Duration::from_secs(30);

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn read(top: &Table<'_>, settings: &mut Settings) {
    if let Some(table) = top.table("agent", "[agent]", AGENT) {
        read_agent(&table, settings);
    }
    if let Some(table) = top.table("limits", "[limits]", LIMITS) {
        read_limits(&table, settings);
    }
    if let Some(table) = top.table("ship", "[ship]", SHIP) {
        read_ship(&table, settings);
    }
}

fn read_agent(table: &Table<'_>, settings: &mut Settings) {
    set(
        &mut settings.state_dir,
        table.parsed("state_dir", rules::state_dir),
    );
    settings.instance_id = table.parsed("instance_id", rules::instance_id);
    settings.aws.region = table.parsed("region", rules::region);
    settings.aws.endpoint_url = table.parsed("endpoint_url", rules::url);
    settings.aws.profile = table.parsed("profile", rules::profile);
    settings.aws.ca_bundle = table.parsed("ca_bundle", rules::absolute_path);
}

fn read_limits(table: &Table<'_>, settings: &mut Settings) {
    let limits = &mut settings.limits;
    let memory = rules::bytes(MEMORY_BYTES_MIN as u64..=MAX_MEMORY_BYTES);
    let backlog = rules::bytes(0..=u64::MAX);
    set(&mut limits.memory_bytes, table.parsed("memory", memory));
    set(&mut limits.in_flight, table.integer("in_flight", 1..=64));
    set(
        &mut limits.requests_per_second,
        table.integer("requests_per_second", 1..=MAX_REQUESTS_PER_SECOND),
    );
    set(&mut limits.files, table.integer("files", 1..=MAX_FILES));
    set(
        &mut limits.open_files,
        table.integer("open_files", 8..=65_536),
    );
    set(&mut limits.backlog_bytes, table.parsed("backlog", backlog));
    set(
        &mut limits.backlog_files,
        table.integer("backlog_files", 1..=1_000_000),
    );
    let sweep = rules::duration(MIN_SWEEP..=MAX_SWEEP);
    set(&mut limits.sweep, table.parsed("sweep", sweep));
    settings.aws.max_connections = limits.in_flight;
}

fn read_ship(table: &Table<'_>, settings: &mut Settings) {
    let gzip = table.one_of("compression", &[("none", false), ("gzip", true)]);
    set(&mut settings.aws.gzip, gzip);
    let ship = &mut settings.ship;
    for (name, field, range) in [
        (
            "flush_interval",
            &mut ship.flush_interval,
            MIN_FLUSH..=MAX_FLUSH,
        ),
        ("settle", &mut ship.settle, Duration::ZERO..=5 * MINUTE),
        ("drain", &mut ship.drain, Duration::ZERO..=10 * MINUTE),
    ] {
        set(field, table.parsed(name, rules::duration(range)));
    }
}

/// Puts what was said in the default's place. Ranges keep every number within its field's type.
fn set<T, V: TryInto<T>>(field: &mut T, said: Option<V>) {
    if let Some(value) = said.and_then(|value| value.try_into().ok()) {
        *field = value;
    }
}
