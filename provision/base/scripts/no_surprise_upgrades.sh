#!/bin/bash
# Why: an instance shall be what was baked and proven. apt's daily jobs would hold dpkg's lock and the
# CPU on the first boot, restart services at a time of their own, and make each instance differ from its
# image. Here updates come by baking a new image and replacing the instances.
# To let instances patch themselves instead: systemctl unmask apt-daily.timer apt-daily-upgrade.timer,
# and remove /etc/apt/apt.conf.d/99periodic-off. unattended-upgrades stays installed for that.
set -euo pipefail

# Masked, not disabled: an upgrade of apt must not bring them back. Works where a timer is missing, too.
systemctl mask apt-daily.timer apt-daily-upgrade.timer
