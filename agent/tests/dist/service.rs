//! The service on a host: its configuration from Systems Manager, and a check that sees what the service sees.

use std::time::{Duration, Instant};

use crate::artefacts::own_package;
use crate::host::Host;

/// For what takes a second or two; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Credentials by the environment, since these hosts have no role; a parameter that is looked at each second.
const VARIABLES: &str = "AWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY=test\nAWS_REGION=us-east-1\n\
                         BAKER_AGENT_CONFIG=ssm:/app/baker-agent\nBAKER_AGENT_CONFIG_EVERY=1s\n";
const SYSLOG: &str =
    "[[file]]\npath = \"/var/log/syslog\"\nformat = \"syslog\"\ngroup = \"home\"\n";
const SECRET: &str = "[[file]]\npath = \"/var/log/secret.log\"\ngroup = \"home\"\n";

/// Waits until the unit has said this.
fn until_said(host: &Host, words: &str) {
    let started = Instant::now();
    loop {
        let said = host.run("journalctl --unit baker-agent --no-pager");
        if said.contains(words) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "not said: {words}\n{said}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs `make dist`, and root for the lab"]
fn follows_its_parameter_and_is_checked_as_the_user_that_it_is() {
    let host = Host::boot();
    host.put(&own_package(), "/tmp/baker-agent.deb");
    host.run(
        "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d",
    );
    host.run("DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet /tmp/baker-agent.deb");
    host.run(&format!(
        "printf '{}' >/etc/default/baker-agent",
        VARIABLES.replace('\n', "\\n")
    ));
    host.run("groupadd secret; echo hush >/var/log/secret.log; chgrp secret /var/log/secret.log; chmod 640 /var/log/secret.log");

    // No parameter yet: it is up, says what it waits for, and goes on waiting.
    host.run("systemctl start baker-agent");
    until_said(&host, "aws ssm put-parameter --name /app/baker-agent");
    assert_eq!(host.run("systemctl is-active baker-agent"), "active");
    host.put_parameter("/app/baker-agent", SYSLOG);
    until_said(&host, "ships 1 file setting to CloudWatch Logs");
    host.run("head -n 1 /var/lib/baker-agent/parameter.toml | grep --quiet '^# ssm:/app/baker-agent version '");

    // Root may read the secret log, the service may not: which is what a check says, of the parameter and the variables that the service has.
    host.put_parameter("/app/baker-agent", &format!("{SYSLOG}{SECRET}"));
    until_said(&host, "new: /var/log/secret.log");
    let check = |wanted: i32| {
        let output = host.try_run("baker-agent check");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(wanted), "{said}");
        said
    };
    let said = check(4);
    for expected in [
        "configuration  ssm:/app/baker-agent\n",
        "user           baker-agent (groups ",
        "can't be read: Permission denied",
        "1 problem, ",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    host.run("mkdir /etc/systemd/system/baker-agent.service.d; printf '[Service]\\nSupplementaryGroups=secret\\n' >/etc/systemd/system/baker-agent.service.d/groups.conf");
    host.run("systemctl daemon-reload");
    let said = check(0);
    assert!(said.contains("secret"), "{said}");
    println!("{said}");

    // A host that boots without a network goes on with the copy.
    host.run("sed --in-place s/^AWS_REGION=.*/AWS_REGION=us-east-1\\\\nAWS_ENDPOINT_URL_SSM=http:\\\\/\\\\/127.0.0.1:9/ /etc/default/baker-agent; systemctl restart baker-agent");
    until_said(
        &host,
        "begins with the copy of ssm:/app/baker-agent, version 2",
    );
}
