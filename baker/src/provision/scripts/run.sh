# Runs a program that arrives on stdin: DIRECTORY USER CWD ENV_BYTES COMMAND…; as root.
# The first ENV_BYTES of stdin are `export` lines, the rest is the program, which COMMAND names as
# DIRECTORY/program. Both live on tmpfs and go when it ends.
set -eu
directory=$1 user=$2 cwd=$3 env_bytes=$4
shift 4

entry=$(getent passwd "$user") || {
    echo "there is no user $user on the host; make it in an earlier step" >&2
    exit 67
}
home=$(printf '%s\n' "$entry" | cut -d: -f6)

rm -rf "$directory"
mkdir -p -m 0711 "$(dirname "$directory")"
mkdir -m 0700 "$directory"
trap 'rm -rf "$directory"' EXIT
(umask 077 && head -c "$env_bytes" >"$directory/env" && cat >"$directory/program")
chown -R "$user" "$directory"

if [ -z "$cwd" ]; then
    cwd=$home
    [ -d "$cwd" ] || cwd=/
fi
cd "$cwd" || {
    echo "there is no directory $cwd on the host; make it in an earlier step" >&2
    exit 66
}

[ "$user" = "$(id -un)" ] || set -- runuser -u "$user" -- "$@"

# The outputs go through pipes of our own: a process that the program leaves in the background
# keeps its outputs open, and over SSH the step would not end before that process does.
mkfifo -m 0600 "$directory/out" "$directory/err"
cat <"$directory/out" &
out=$!
cat <"$directory/err" >&2 &
err=$!
status=0
env -i HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin \
    DEBIAN_FRONTEND=noninteractive \
    sh -c '. "$0" && exec "$@"' "$directory/env" "$@" \
    </dev/null >"$directory/out" 2>"$directory/err" || status=$?

# Without such a process both end at once; with one, what was printed has a second to arrive.
left=20
while [ "$left" -gt 0 ] && { kill -0 "$out" || kill -0 "$err"; } 2>/dev/null; do
    [ "$left" -eq 20 ] || sleep 0.05
    left=$((left - 1))
done
if [ "$left" -eq 0 ]; then
    echo "a process that this step left in the background still holds its output; it is not listened to any more" >&2
    kill "$out" "$err" 2>/dev/null || true
fi
wait "$out" "$err" 2>/dev/null || true
exit "$status"
