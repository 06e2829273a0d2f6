//! The formats of well-known logs.

/// The formats of one kind of log.
pub(super) struct Preset {
    /// What it goes by.
    pub(super) names: &'static [&'static str],
    /// The ways in which stamps are written there.
    pub(super) ways: &'static [&'static str],
}

pub(super) const PRESETS: &[Preset] = &[
    // rsyslog's RSYSLOG_TraditionalFileFormat (RFC 3164) and RSYSLOG_FileFormat (RFC 3339).
    Preset {
        names: &["syslog"],
        ways: &["^%b %e %H:%M:%S", "^%Y-%m-%dT%H:%M:%S%.f%z"],
    },
    // The common and the combined log format: $time_local.
    Preset {
        names: &["nginx-access", "apache-access"],
        ways: &["[%d/%b/%Y:%H:%M:%S %z]"],
    },
    Preset {
        names: &["nginx-error"],
        ways: &["^%Y/%m/%d %H:%M:%S"],
    },
    // ErrorLogFormat's %t, and %{u}t since 2.4.
    Preset {
        names: &["apache-error"],
        ways: &["^[%a %b %e %H:%M:%S%.f %Y]"],
    },
    // glogging's error log, and its access log.
    Preset {
        names: &["gunicorn"],
        ways: &["^[%Y-%m-%d %H:%M:%S %z]", "[%d/%b/%Y:%H:%M:%S %z]"],
    },
    // Since 2.177 or so; before, java.util.logging's SimpleFormatter in English.
    Preset {
        names: &["jenkins"],
        ways: &["^%Y-%m-%d %H:%M:%S.%L%z", "^%b %d, %Y %I:%M:%S %p"],
    },
    // logging.Formatter's %(asctime)s, wherever it stands.
    Preset {
        names: &["python"],
        ways: &["%Y-%m-%d %H:%M:%S,%L"],
    },
    // log_line_prefix "%m [%p]" or "%t".
    Preset {
        names: &["postgresql"],
        ways: &["^%Y-%m-%d %H:%M:%S%.f %Z"],
    },
    Preset {
        names: &["iso8601", "rfc3339"],
        ways: &["%Y-%m-%d%?T%H:%M:%S%.f%?z"],
    },
    // The keys of logstash, bunyan, pino, zap, slog, structlog.
    Preset {
        names: &["json"],
        ways: &[
            r#""timestamp":%?n"%Y-%m-%d%?T%H:%M:%S%.f%?z""#,
            r#""@timestamp":%?n"%Y-%m-%d%?T%H:%M:%S%.f%?z""#,
            r#""time":%?n"%Y-%m-%d%?T%H:%M:%S%.f%?z""#,
            r#""ts":%?n"%Y-%m-%d%?T%H:%M:%S%.f%?z""#,
            r#""time":%?n%Q"#,
            r#""ts":%?n%s%.f"#,
        ],
    },
    Preset {
        names: &["epoch"],
        ways: &["^%s%.f"],
    },
];
