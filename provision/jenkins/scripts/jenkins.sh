#!/bin/bash
# Why: the package starts Jenkins as soon as it is installed. What it has written to its home belongs to this host, and would lie
# hidden below the volume.
set -euo pipefail

systemctl stop jenkins.service
find /var/lib/jenkins -mindepth 1 -delete
install -d -o jenkins -g jenkins -m 0755 /var/lib/jenkins

# adm reads logs, as everywhere on this system. The file is there before its writer, so that owner and mode are decided here; it is
# truncated when it is rotated, never made anew.
install -d -o jenkins -g adm -m 0750 /var/log/jenkins
install -o jenkins -g adm -m 0640 /dev/null /var/log/jenkins/jenkins.log
