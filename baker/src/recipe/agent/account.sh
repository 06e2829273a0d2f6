#!/bin/bash
# Gives the agent its user, its groups and its directories: GROUP…, besides adm. What its package has made stays as it is.
set -euo pipefail
user=baker-agent

if ! getent passwd "$user" >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/baker-agent --no-create-home --shell /usr/sbin/nologin "$user"
fi
# Ubuntu's group of those who may read logs.
for group in adm "$@"; do
    getent group "$group" >/dev/null || {
        echo "there is no group $group on the host; make it in a layer of the recipe, or take it out of [agent] groups" >&2
        exit 67
    }
    usermod --append --groups "$group" "$user"
done
install --directory --mode=0755 /etc/baker-agent
# systemd makes it at the first start, too; it is there now so that the agent can be asked whether it could write to it.
install --directory --mode=0700 --owner="$user" --group="$user" /var/lib/baker-agent
