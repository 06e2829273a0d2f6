#!/bin/bash
# Why: builds and settings outlive the instance, and scratch space does not fill the root disk. Volumes are found by label: a device's name
# depends on the instance's type and on the order in which the kernel finds them.
set -euo pipefail

entry() {
    local label=$1 place=$2
    mkdir -p "$place"
    # nofail: a host without its volume can still be reached. It waits for a volume that is attached a little late.
    printf 'LABEL=%s %s ext4 defaults,nofail,noatime,x-systemd.device-timeout=30s 0 2\n' "$label" "$place"
}

sed -i '/^LABEL=jenkins-/d' /etc/fstab
{ entry jenkins-home /var/lib/jenkins; entry jenkins-mnt /mnt; } >>/etc/fstab

# cloud-init would mount an instance's own disk on /mnt, by a device's name.
mkdir -p /etc/cloud/cloud.cfg.d
printf '# /mnt is found by its label: /etc/fstab\nmounts:\n  - [ephemeral0, null]\n' >/etc/cloud/cloud.cfg.d/50-no-ephemeral-mount.cfg
