//! Which graphs there are: the one table of them.

use serde_json::{Value as Json, json};

use super::grid::Grid;
use super::series::{Line, Series, Stat};

/// A graph.
struct Graph {
    title: &'static str,
    /// What the axes count.
    axis: Axis,
    right: Option<&'static str>,
    /// Of each list, the first that is sent: what says the same in other words.
    lines: &'static [&'static [Line]],
    /// A line across it, and what it means.
    mark: Option<(f64, &'static str)>,
}

struct Axis {
    label: &'static str,
    /// Whether it ends at 100.
    percent: bool,
}

const PERCENT: Axis = Axis {
    label: "%",
    percent: true,
};

const fn axis(label: &'static str) -> Axis {
    Axis {
        label,
        percent: false,
    }
}

const fn line(name: &'static str, stat: Stat, called: &'static str) -> Line {
    Line {
        name,
        only: &[],
        stat,
        formula: None,
        called,
        right: false,
    }
}

const fn formula(line: Line, formula: &'static str) -> Line {
    Line {
        formula: Some(formula),
        ..line
    }
}

/// Of all processors together.
const fn cpu(name: &'static str, called: &'static str) -> Line {
    Line {
        only: &[("cpu", "cpu-total")],
        ..line(name, Stat::Average, called)
    }
}

const fn on_the_right(line: Line) -> Line {
    Line {
        right: true,
        ..line
    }
}

/// Every line is in CloudWatch well within a minute, or somebody should know.
const LATE: (f64, &str) = (60.0, "a minute");
const NEARLY_FULL: (f64, &str) = (90.0, "nearly full");

/// From what is looked at first to what is looked at last.
const GRAPHS: &[Graph] = &[
    Graph {
        title: "CPU",
        axis: PERCENT,
        right: None,
        lines: &[&[
            cpu("cpu_usage_active", ""),
            formula(cpu("cpu_usage_idle", ""), "100-x"),
        ]],
        mark: None,
    },
    Graph {
        title: "CPU: waiting for I/O, stolen",
        axis: PERCENT,
        right: None,
        lines: &[
            &[cpu("cpu_usage_iowait", "I/O")],
            &[cpu("cpu_usage_steal", "stolen")],
        ],
        mark: None,
    },
    Graph {
        title: "Memory in use",
        axis: PERCENT,
        right: None,
        lines: &[&[
            line("mem_used_percent", Stat::Average, ""),
            formula(line("mem_available_percent", Stat::Average, ""), "100-x"),
        ]],
        mark: Some(NEARLY_FULL),
    },
    Graph {
        title: "Swap in use",
        axis: PERCENT,
        right: None,
        lines: &[&[line("swap_used_percent", Stat::Maximum, "")]],
        mark: None,
    },
    Graph {
        title: "Disk space in use",
        axis: PERCENT,
        right: None,
        lines: &[&[line("disk_used_percent", Stat::Maximum, "")]],
        mark: Some(NEARLY_FULL),
    },
    Graph {
        title: "Inodes left",
        axis: axis("inodes"),
        right: None,
        lines: &[&[line("disk_inodes_free", Stat::Minimum, "")]],
        mark: None,
    },
    Graph {
        title: "Disk I/O",
        axis: axis("bytes/s"),
        right: None,
        lines: &[
            &[line("diskio_read_bytes", Stat::PerSecond, "read")],
            &[line("diskio_write_bytes", Stat::PerSecond, "written")],
        ],
        mark: None,
    },
    Graph {
        title: "Disk operations",
        axis: axis("1/s"),
        right: None,
        lines: &[
            &[line("diskio_reads", Stat::PerSecond, "reads")],
            &[line("diskio_writes", Stat::PerSecond, "writes")],
        ],
        mark: None,
    },
    Graph {
        title: "Disks at work",
        axis: PERCENT,
        right: None,
        // Milliseconds of a second.
        lines: &[&[formula(line("diskio_io_time", Stat::PerSecond, ""), "x/10")]],
        mark: None,
    },
    Graph {
        title: "Requests that wait for disks",
        axis: axis("requests"),
        right: None,
        lines: &[&[
            formula(
                line("diskio_weighted_io_time", Stat::PerSecond, ""),
                "x/1000",
            ),
            line("diskio_iops_in_progress", Stat::Average, ""),
        ]],
        mark: None,
    },
    Graph {
        title: "Network",
        axis: axis("bytes/s"),
        right: None,
        lines: &[
            &[line("net_bytes_recv", Stat::PerSecond, "in")],
            &[line("net_bytes_sent", Stat::PerSecond, "out")],
        ],
        mark: None,
    },
    Graph {
        title: "Network: errors and drops",
        axis: axis("packets"),
        right: None,
        lines: &[
            &[line("net_err_in", Stat::Sum, "errors in")],
            &[line("net_err_out", Stat::Sum, "errors out")],
            &[line("net_drop_in", Stat::Sum, "dropped in")],
            &[line("net_drop_out", Stat::Sum, "dropped out")],
        ],
        mark: None,
    },
    Graph {
        title: "TCP connections",
        axis: axis("connections"),
        right: None,
        lines: &[
            &[line("netstat_tcp_established", Stat::Average, "open")],
            &[line(
                "netstat_tcp_time_wait",
                Stat::Average,
                "closed lately",
            )],
        ],
        mark: None,
    },
    Graph {
        title: "Load",
        axis: axis("tasks"),
        right: None,
        lines: &[
            &[line("system_load1", Stat::Average, "")],
            &[line("processes_blocked", Stat::Maximum, "blocked")],
        ],
        mark: None,
    },
    Graph {
        title: "Processes",
        axis: axis("processes"),
        right: None,
        lines: &[
            &[line("processes_total", Stat::Average, "all")],
            &[line("processes_zombies", Stat::Maximum, "zombies")],
        ],
        mark: None,
    },
    Graph {
        title: "Shipping delay: age of the oldest line that is not in CloudWatch",
        axis: axis("seconds"),
        right: None,
        lines: &[&[line("baker_agent_oldest_unshipped_age", Stat::Maximum, "")]],
        mark: Some(LATE),
    },
    Graph {
        title: "Lines that were lost or rejected",
        axis: axis("bytes"),
        right: None,
        lines: &[
            &[line("baker_agent_bytes_lost", Stat::Sum, "lost")],
            &[line("baker_agent_bytes_rejected", Stat::Sum, "rejected")],
        ],
        mark: None,
    },
    Graph {
        title: "Lines shipped, and requests tried again",
        axis: axis("lines/s"),
        right: Some("requests"),
        lines: &[
            &[line("baker_agent_lines_shipped", Stat::PerSecond, "lines")],
            &[on_the_right(line(
                "baker_agent_retries",
                Stat::Sum,
                "retries",
            ))],
        ],
        mark: None,
    },
    Graph {
        title: "The agent itself",
        axis: axis("bytes"),
        right: Some("% of a processor"),
        lines: &[
            &[line("baker_agent_rss", Stat::Maximum, "memory")],
            &[on_the_right(line("baker_agent_cpu", Stat::Average, "CPU"))],
        ],
        mark: None,
    },
];

/// What a dashboard is expected to show, and the metric that would.
const EXPECTED: &[(&str, &[&str], &str)] = &[
    (
        "CPU",
        &["cpu_usage_active", "cpu_usage_idle"],
        "cpu_usage_active",
    ),
    (
        "memory",
        &["mem_used_percent", "mem_available_percent"],
        "mem_used_percent",
    ),
    ("disk space", &["disk_used_percent"], "disk_used_percent"),
    (
        "disk I/O",
        &["diskio_io_time", "diskio_read_bytes", "diskio_write_bytes"],
        "diskio_io_time",
    ),
    (
        "network",
        &["net_bytes_recv", "net_bytes_sent"],
        "net_bytes_recv\", \"net_bytes_sent",
    ),
    (
        "the shipping delay",
        &["baker_agent_oldest_unshipped_age"],
        "agent",
    ),
];

/// Draws each graph of which something is sent.
pub(super) fn draw(series: &Series<'_>, grid: &mut Grid, notes: &mut Vec<String>) {
    for graph in GRAPHS {
        let mut serial = 0;
        let lines = graph.lines.iter().filter_map(|same| {
            let sent = |line: &&Line| series.is_sent(line.name);
            same.iter().find(sent)
        });
        let metrics: Vec<Json> = lines
            .flat_map(|line| series.entries(line, &mut serial))
            .collect();
        if !metrics.is_empty() {
            grid.graph(properties(graph, metrics, series.period_s()));
        }
    }
    for (what, names, word) in EXPECTED {
        if !names.iter().any(|name| series.is_sent(name)) {
            notes.push(format!(
                "no {what}: no metric of it is collected; add \"{word}\" to `collect` in [metrics]"
            ));
        }
    }
}

fn properties(graph: &Graph, metrics: Vec<Json>, period_s: u64) -> Json {
    let mut left = json!({"label": graph.axis.label, "min": 0, "showUnits": false});
    if graph.axis.percent {
        left["max"] = json!(100);
    }
    let mut axes = json!({"left": left});
    if let Some(label) = graph.right {
        axes["right"] = json!({"label": label, "min": 0, "showUnits": false});
    }
    let mut properties = json!({
        "title": graph.title,
        "view": "timeSeries",
        "stacked": false,
        "period": period_s,
        "metrics": metrics,
        "yAxis": axes,
    });
    if let Some((value, label)) = graph.mark {
        properties["annotations"] = json!({"horizontal": [{"value": value, "label": label}]});
    }
    properties
}
