#!/bin/bash
# Whether the agent can do its work on this host. It asks nobody and sends nothing.
set -euo pipefail
agent=/usr/bin/baker-agent

# One library that is too old for it, or another machine's code, shows here.
if ! version=$("$agent" --version 2>&1); then
    echo "$agent does not run on this host: $version" >&2
    echo "build one for Ubuntu 18.04 (make dist), and name it: baker build --agent FILE, or [agent] package = \"FILE\"" >&2
    exit 1
fi
echo "$version"

# Through the same door as the service: its own user, who has to be able to read every log.
status=0
runuser -u baker-agent -- "$agent" check --offline --config /etc/baker-agent/baker-agent.toml || status=$?
if [ "$status" != 0 ]; then
    echo "the agent would not ship what its configuration names (baker-agent check ended with $status)" >&2
    echo "correct the [agent] config of the recipe; for a file of another group than adm, add that to [agent] groups" >&2
    exit 1
fi
