#!/bin/bash
# Why: nobody gets in by a password, and people's files are not everybody's. Who may log in is said at
# launch, by a key in user-data, never by the image.
set -euo pipefail

passwd --quiet --lock root

# Ubuntu 18.04 makes home directories that everybody can read.
if [ -f /etc/adduser.conf ]; then
    sed -i 's/^#\?DIR_MODE=.*/DIR_MODE=0750/' /etc/adduser.conf
fi
find /home -mindepth 1 -maxdepth 1 -type d -exec chmod 0750 {} +
