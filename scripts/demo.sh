#!/usr/bin/env bash
# Bakes the example application in a lab, boots an instance from the image, fetches its page, reads the instance's logs and metrics back
# from CloudWatch, and removes everything.
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
    exec sudo --preserve-env=GIT_COMMIT,DEMO_SUITE,BAKER_AGENT,APP_DOMAIN,APP_METRICS_INTERVAL "$0" "$baker" "$lab"
fi

# A fresh name, so that a demo never meets another lab; a free port.
export LAB_NAME=demo$$
readonly page_limit_s=60
readonly logs_limit_s=60
readonly metrics_limit_s=60
# The log group of provision/app.
readonly group=${APP_DOMAIN:-cname.domain.com}
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

# The agent that hosts get: one that was named, the package of `make dist`, or else the program that cargo built here, which only a host
# of this machine's own release can run.
agent=${BAKER_AGENT:-}
if [ -z "$agent" ]; then
    agent=$(find "${built%/*}/dist" -name 'baker-agent_*.deb' -newer "$built/baker-agent" 2>/dev/null | sort | tail -n 1 || true)
fi
if [ -z "$agent" ]; then
    agent=$built/baker-agent
    DEMO_SUITE=${DEMO_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
fi
[ -e "$agent" ] || { echo "demo: there is no $agent; run: cargo build --package baker-agent" >&2; exit 1; }
export BAKER_AGENT=$agent

say "1. An AWS on this machine"
"$lab" up --port 0 ${DEMO_SUITE:+--suite "$DEMO_SUITE"}
eval "$("$lab" env)"
gateway=$("$lab" status | sed -n "/^$LAB_NAME /,/hosts:/s|.*hosts: http://\([0-9.]*\):.*|\1|p")
bridge=$(ip -oneline -4 address | awk -v gateway="$gateway" 'index($4, gateway "/") == 1 { print $2; exit }')
[ -n "$bridge" ] || { echo "demo: could not find the lab's bridge, by which to look for leftovers" >&2; exit 1; }

say "2. From provision/app to an AMI"
# The recipe's own is a minute, which is long to look at.
export APP_METRICS_INTERVAL=${APP_METRICS_INTERVAL:-5s}
export GIT_COMMIT=${GIT_COMMIT:-$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo dev)}
# Its journal would outlive the lab that it speaks of.
XDG_STATE_HOME=$scratch/state "$baker" build "$here/provision/app" | tee "$scratch/manifest"
read -r image _ <"$scratch/manifest"

# Any client of AWS will do; curl signs requests, too.
aws() {
    local service=$1
    shift
    curl --silent --show-error --fail-with-body --aws-sigv4 "aws:amz:$AWS_REGION:$service" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$AWS_ENDPOINT_URL/"
}
query() {
    local service=$1 parameters=(--data-urlencode "Action=$3" --data-urlencode "Version=$2") parameter
    shift 3
    for parameter in "$@"; do parameters+=(--data-urlencode "$parameter"); done
    aws "$service" "${parameters[@]}"
}
ec2() { query ec2 2016-11-15 "$@"; }
iam() { query iam 2010-05-08 "$@" >/dev/null; }
# logs OPERATION JSON
logs() { aws logs --header "X-Amz-Target: Logs_20140328.$1" --header 'Content-Type: application/x-amz-json-1.1' --data "$2"; }
# monitoring OPERATION JSON
monitoring() { aws monitoring --header "X-Amz-Target: GraniteServiceVersion20100801.$1" --header 'Content-Type: application/x-amz-json-1.0' --data "$2"; }
first() { grep -o "<$1>[^<]*" | head -n 1 | cut -d'>' -f2; }

say "3. An instance of $image"
launched=$SECONDS
# With a role, whose credentials the agent takes from the instance's metadata.
iam CreateRole RoleName=demo AssumeRolePolicyDocument='{}'
iam CreateInstanceProfile InstanceProfileName=demo
iam AddRoleToInstanceProfile InstanceProfileName=demo RoleName=demo
ec2 RunInstances "ImageId=$image" InstanceType=t3.micro MinCount=1 MaxCount=1 IamInstanceProfile.Name=demo >"$scratch/launch.xml"
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

say "4. What CloudWatch Logs knows of $instance: the group $group"
# The request that was answered above, as nginx, gunicorn and the application each wrote it down.
for stream in syslog nginx-access gunicorn-access; do
    asked=$SECONDS
    until logs GetLogEvents "{\"logGroupName\": \"$group\", \"logStreamName\": \"$instance/$stream\"}" >"$scratch/events.json" 2>/dev/null &&
        python3 - "$scratch/events.json" >"$scratch/events" <<'PYTHON'
import json, sys
events = json.load(open(sys.argv[1]))["events"]
for event in events[-3:]:
    print("  {:6d} ms later  {}".format(event["ingestionTime"] - event["timestamp"], event["message"][:150]))
sys.exit(not events)
PYTHON
    do
        if [ $((SECONDS - asked)) -ge "$logs_limit_s" ]; then
            echo "demo: nothing in $instance/$stream within $logs_limit_s s; what the agent says:" >&2
            "$lab" logs "$instance" | grep -i baker-agent | tail -n 20 >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "$instance/$stream"
    cat "$scratch/events"
done

say "5. What CloudWatch knows of $instance by numbers: the namespace CWAgent, each $APP_METRICS_INTERVAL"
# Two of the metrics need two looks at the host: so until the processors' share has come twice.
asked=$SECONDS
until monitoring ListMetrics "{\"Namespace\": \"CWAgent\", \"Dimensions\": [{\"Name\": \"InstanceId\", \"Value\": \"$instance\"}]}" \
    >"$scratch/listed.json" 2>/dev/null &&
    python3 - "$scratch/listed.json" >"$scratch/queries.json" <<'PYTHON' &&
import json, sys, time
listed = json.load(open(sys.argv[1]))["Metrics"]
query = lambda at, metric: {"Id": "m%d" % at, "Label": " ".join([metric["MetricName"]] + [
    dimension["Value"] for dimension in metric["Dimensions"]
    if dimension["Name"] not in ("InstanceId", "ImageId", "InstanceType")]),
    "MetricStat": {"Metric": metric, "Period": 1, "Stat": "Average"}}
print(json.dumps({"StartTime": time.time() - 600, "EndTime": time.time() + 60, "ScanBy": "TimestampAscending",
                  "MetricDataQueries": [query(at, metric) for at, metric in enumerate(listed)]}))
sys.exit(not listed)
PYTHON
    monitoring GetMetricData "@$scratch/queries.json" >"$scratch/data.json" 2>/dev/null &&
    python3 - "$scratch/data.json" >"$scratch/metrics" <<'PYTHON'
import json, sys
results = json.load(open(sys.argv[1]))["MetricDataResults"]
enough = False
for result in sorted(results, key=lambda result: result["Label"]):
    values = result["Values"]
    enough |= result["Label"].startswith("cpu_usage_active") and len(values) > 1
    if values:
        print("  {:46} {}".format(result["Label"], "  ".join("{:.6g}".format(value) for value in values[-6:])))
sys.exit(not enough)
PYTHON
do
    if [ $((SECONDS - asked)) -ge "$metrics_limit_s" ]; then
        echo "demo: no metrics of $instance within $metrics_limit_s s; what the agent says:" >&2
        "$lab" ssh "$instance" -- baker-agent status >&2 || true
        exit 1
    fi
    sleep 0.1
done
cat "$scratch/metrics"
