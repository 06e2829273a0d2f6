# Looks for what an image must not hold: ROOT (empty, except in tests); as root. Prints a line
# "WHAT<tab>WHERE" for each thing found, and one "checked" at the end. Changes nothing.
root=$1

found() {
    while IFS= read -r where; do
        printf '%s\t%s\n' "$1" "${where#"$root"}"
    done
}

look() {
    find "$@" 2>/dev/null || true
}

look "$root/root" "$root/home" "$root/var" "$root/srv" "$root/opt" -xdev \
    -path '*/.ssh/authorized_keys*' -type f | found "authorized SSH key"
look "$root/root" "$root/home" "$root/var" "$root/srv" "$root/opt" -xdev -type f \
    \( -name '.bash_history' -o -name '.zsh_history' -o -name '.python_history' -o -name '.ash_history' \
    -o -name '.mysql_history' -o -name '.psql_history' -o -name '.sqlite_history' -o -name '.lesshst' \
    -o -name '.viminfo' -o -name '.wget-hsts' \) | found "history"
look "$root/etc/ssh" -name 'ssh_host_*' | found "SSH host key"
look "$root/var/lib/cloud" -mindepth 1 -maxdepth 1 | found "state of cloud-init"
look "$root/etc/sudoers.d/90-cloud-init-users" | found "sudo rule of the bake's user"
look "$root/var/lib" -xdev -type f -name '*.lease*' -path '*dh*' | found "DHCP lease"
look "$root/var/lib/NetworkManager" -type f -name '*.lease*' | found "DHCP lease"
if [ ! -f "$root/etc/machine-id" ]; then
    echo /etc/machine-id | found "machine id is missing instead of empty"
fi
look "$root/etc/machine-id" -size +0 | found "machine id"
look "$root/var/lib/dbus/machine-id" -type f | found "machine id"
look "$root/var/lib/systemd/random-seed" "$root/var/lib/urandom/random-seed" | found "random seed"
look "$root/var/lib/apt/lists" -type f ! -name lock | found "package list"
look "$root/var/cache/apt" -type f ! -name lock | found "package cache"
look "$root/tmp" "$root/var/tmp" "$root/var/crash" -xdev -mindepth 1 ! -type d | found "temporary file"
look "$root/var/lib/baker-agent" -mindepth 1 | found "state of the agent"
look "$root/run/baker" | found "file of the bake"
look "$root/var/log" -xdev -type f -size +0 | found "log with lines in it"
look "$root/var/log" -xdev -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.[0-9]' -o -name '*.old' \) | found "rotated log"
look "$root/var/log/journal" -mindepth 1 | found "journal"
echo checked
