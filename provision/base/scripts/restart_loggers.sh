#!/bin/bash
# Why: journald and rsyslog read their settings when they start; both take up again where they were.
set -euo pipefail

rsyslogd -N1 # refuses settings that it does not understand, while the old ones still run
systemctl restart systemd-journald.service rsyslog.service
