#!/usr/bin/env bash
# Bakes the example application in a lab, boots an instance from the image, fetches its page, and removes everything.
# Usage: demo.sh [BAKER LAB]   the two programs; by default those that `cargo build` made here. Runs as root, or asks sudo.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
built=${CARGO_TARGET_DIR:-$here/target}/debug
baker=$(realpath "${1:-$built/baker}")
lab=$(realpath "${2:-$built/lab}")
for program in "$baker" "$lab"; do
    [ -x "$program" ] || { echo "demo: there is no $program; run: cargo build --package baker --package lab --bins" >&2; exit 1; }
done
if [ "$(id -u)" != 0 ]; then
    # The lab mounts disks and makes network namespaces.
    exec sudo --preserve-env=GIT_COMMIT,DEMO_SUITE "$0" "$baker" "$lab"
fi

# A fresh name, so that a demo never meets another lab; a free port.
export LAB_NAME=demo$$
readonly page_limit_s=60
started=$SECONDS
scratch=$(mktemp -d)
left_behind=0

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Looks by itself, not by asking the lab: everything that bears the lab's name, or its bridge's.
bridge=
leftovers() {
    grep -F "/$LAB_NAME/" /proc/self/mounts || true
    # The brackets keep grep from finding itself.
    grep --files-with-matches --no-messages -e "[-]-machine=$LAB_NAME-" /proc/[0-9]*/cmdline || true
    find /sys/fs/cgroup -maxdepth 3 -path "*/baker-lab/$LAB_NAME" 2>/dev/null || true
    find "${LAB_STATE_DIR:-/var/lib/baker-lab}" -maxdepth 1 -name "$LAB_NAME" 2>/dev/null || true
    if [ -n "$bridge" ]; then
        find /sys/class/net /run/netns -maxdepth 1 -name "$bridge*" 2>/dev/null || true
    fi
}

finish() {
    status=$?
    trap - EXIT INT TERM
    say "Taking the lab down"
    "$lab" down || left_behind=1
    rm -rf "$scratch"
    left=$(leftovers)
    if [ -n "$left" ] || [ "$left_behind" = 1 ]; then
        printf 'Something was left behind:\n%s\n' "$left" >&2
        [ "$status" != 0 ] || status=7
    else
        echo "Nothing is left: no mount, no bridge, no process, no folder of this lab."
    fi
    if [ "$status" = 0 ]; then
        say "Done in $((SECONDS - started)) s."
    else
        say "Failed after $((SECONDS - started)) s." >&2
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "1. An AWS on this machine"
"$lab" up --port 0 ${DEMO_SUITE:+--suite "$DEMO_SUITE"}
eval "$("$lab" env)"
gateway=$("$lab" status | sed -n "/^$LAB_NAME /,/hosts:/s|.*hosts: http://\([0-9.]*\):.*|\1|p")
bridge=$(ip -oneline -4 address | awk -v gateway="$gateway" 'index($4, gateway "/") == 1 { print $2; exit }')
[ -n "$bridge" ] || { echo "demo: could not find the lab's bridge, by which to look for leftovers" >&2; exit 1; }

say "2. From provision/app to an AMI"
export GIT_COMMIT=${GIT_COMMIT:-$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo dev)}
# Its journal would outlive the lab that it speaks of.
XDG_STATE_HOME=$scratch/state "$baker" build "$here/provision/app" | tee "$scratch/manifest"
read -r image _ <"$scratch/manifest"

# Any client of AWS will do; curl signs requests, too.
ec2() {
    local parameters=(--data-urlencode "Action=$1" --data-urlencode "Version=2016-11-15") parameter
    shift
    for parameter in "$@"; do parameters+=(--data-urlencode "$parameter"); done
    curl --silent --show-error --fail-with-body --aws-sigv4 "aws:amz:$AWS_REGION:ec2" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "${parameters[@]}" "$AWS_ENDPOINT_URL/"
}
first() { grep -o "<$1>[^<]*" | head -n 1 | cut -d'>' -f2; }

say "3. An instance of $image"
launched=$SECONDS
ec2 RunInstances "ImageId=$image" InstanceType=t3.micro MinCount=1 MaxCount=1 >"$scratch/launch.xml"
instance=$(first instanceId <"$scratch/launch.xml")
address=$(first privateIpAddress <"$scratch/launch.xml")
# Asked anew until it answers: boot, nginx, gunicorn. Each try is short; there is nothing to be told by.
until curl --silent --fail --max-time 2 --output "$scratch/page.html" "http://$address/"; do
    if [ $((SECONDS - launched)) -ge "$page_limit_s" ]; then
        echo "demo: http://$address/ did not answer within $page_limit_s s; the console of $instance:" >&2
        "$lab" logs "$instance" | tail -n 20 >&2
        exit 1
    fi
    sleep 0.1
done
echo "$instance serves its page $((SECONDS - launched)) s after the launch: nginx → gunicorn → application"

say "GET http://$address/"
cat "$scratch/page.html"
say "GET http://$address/health"
curl --silent --show-error --fail --max-time 5 "http://$address/health"
