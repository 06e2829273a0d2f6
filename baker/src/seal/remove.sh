# Removes from a host what belongs to this one host: ROOT (empty, except in tests); as root.
# Every removal is a function, called once at the end; check.sh looks for the same things on its own.
root=$1

# "/root" and every home directory that /etc/passwd names, once.
homes() {
    cut -d: -f6 "$root/etc/passwd" | sort -u | while read -r home; do
        case $home in
        "" | / | /nonexistent | /dev/* | /proc/* | /run/* | /sys/*) ;;
        *) if [ -d "$root$home" ]; then echo "$root$home"; fi ;;
        esac
    done
}

# Whoever writes a log would write on after it is emptied, down to the lines of the shutdown.
# The journal goes to /run from here on, by a setting that lies there too.
quiet_log_writers() {
    [ -z "$root" ] || return 0
    units=$(find /proc/[0-9]*/fd -lname '/var/log/*' 2>/dev/null | cut -d/ -f3 | sort -u |
        while read -r pid; do
            sed -n 's|^[^:]*:\(name=systemd\)\{0,1\}:.*/\([^/]*\.service\).*$|\2|p' "/proc/$pid/cgroup" 2>/dev/null || true
        done | sort -u | grep -vE '^(systemd-journald|ssh|sshd|user@.*)\.service$' || true)
    mkdir -p /run/systemd/journald.conf.d
    printf '[Journal]\nStorage=volatile\n' >/run/systemd/journald.conf.d/baker-seal.conf
    systemctl restart systemd-journald.service
    # Not every host has it; where it is, it would start rsyslog again.
    systemctl stop syslog.socket 2>/dev/null || true
    # shellcheck disable=SC2086 # one word for each unit
    [ -z "$units" ] || systemctl stop $units
}

empty_logs() {
    rm -rf "$root"/var/log/journal/*
    find "$root/var/log" -xdev -type f \
        \( -name '*.gz' -o -name '*.xz' -o -name '*.bz2' -o -name '*.old' -o -name '*.[0-9]' -o -name '*.[0-9][0-9]' \) -delete
    # Files stay, with owner and mode: daemons and logrotate's rules expect them.
    find "$root/var/log" -xdev -type f -size +0 -exec truncate --size=0 {} +
}

remove_authorized_keys() {
    homes | while read -r home; do
        rm -f "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"
    done
}

remove_histories() {
    homes | while read -r home; do
        rm -f "$home"/.*_history "$home/.lesshst" "$home/.viminfo" "$home/.wget-hsts"
    done
}

# The next host makes its own at its first boot.
remove_host_keys() {
    rm -f "$root"/etc/ssh/ssh_host_*
}

# What `cloud-init clean --logs --seed` removes, in every version of it; and the rule that lets the
# bake's user become root, which cloud-init writes again for the image's default user.
remove_cloud_init_state() {
    rm -rf "$root"/var/lib/cloud/*
    rm -f "$root/etc/sudoers.d/90-cloud-init-users"
}

remove_leases() {
    rm -f "$root"/var/lib/dhcp/*.lease* "$root"/var/lib/dhclient/*.lease* \
        "$root"/var/lib/NetworkManager/*.lease* "$root"/var/lib/dhcpcd/*.lease*
}

# Emptied, never removed: systemd fills an empty file at the first boot, and takes a missing one
# for a read-only system.
empty_machine_id() {
    : >"$root/etc/machine-id"
    if [ -e "$root/var/lib/dbus" ] && [ ! -L "$root/var/lib/dbus/machine-id" ]; then
        rm -f "$root/var/lib/dbus/machine-id"
        ln -s /etc/machine-id "$root/var/lib/dbus/machine-id"
    fi
}

remove_random_seeds() {
    rm -f "$root/var/lib/systemd/random-seed" "$root/var/lib/urandom/random-seed"
}

remove_apt_caches() {
    for directory in var/lib/apt/lists var/cache/apt; do
        if [ -d "$root/$directory" ]; then
            find "$root/$directory" -type f ! -name lock -delete
        fi
    done
}

remove_temporary_files() {
    for directory in tmp var/tmp var/crash; do
        if [ -d "$root/$directory" ]; then
            find "$root/$directory" -xdev -mindepth 1 -depth ! -type d -delete
            # A directory that something is mounted on can stay.
            find "$root/$directory" -xdev -mindepth 1 -depth -type d -empty -delete 2>/dev/null || true
        fi
    done
}

# Each instance begins an account of its own: another's says which lines of the logs are sent already.
remove_agent_state() {
    if [ -d "$root/var/lib/baker-agent" ]; then
        find "$root/var/lib/baker-agent" -mindepth 1 -delete
    fi
}

remove_the_bakes_own() {
    rm -rf "$root/run/baker"
}

quiet_log_writers
remove_authorized_keys
remove_histories
remove_host_keys
remove_cloud_init_state
remove_leases
empty_machine_id
remove_random_seeds
remove_apt_caches
remove_temporary_files
remove_agent_state
remove_the_bakes_own
empty_logs
sync
