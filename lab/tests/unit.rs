//! systemd/baker-agent.service on a real host: its systemd takes every directive, and each of those that harden is seen to hold.
//!
//! A probe runs in the agent's place, under the unit's own settings, and tries what is denied. The same probe, run by the same user without
//! the unit, shows that each of its attempts would succeed otherwise, or fail in another way. What the lab's hosts, being containers, deny by themselves
//! can't be shown here: kernel settings, keys, clocks, mounts, real-time priorities, core dumps, limits above the container's own, a lower OOM score.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::Path;
use std::process::Command;

use aws_sdk_ec2::types::ShutdownBehavior;
use base64::Engine as _;
use lab::Lab;
use serde_json::{Value, json};
use support::Rig;

/// Tries things and tells what came of them: an error's number, 0 for success, or what it saw.
const PROBE: &str = r#"
import ctypes, grp, json, mmap, os, pwd, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    return ctypes.get_errno() if getattr(libc, name)(*args) < 0 else 0
def attempt(act):
    try:
        act()
        return 0
    except OSError as error:
        return error.errno
def write(path):
    def act():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.unlink(path)
    return attempt(act)
status = dict(line.rstrip('\n').split(':\t', 1) for line in open('/proc/self/status') if ':\t' in line)
mounts = {line.split()[4]: line.split()[5].split(',') for line in open('/proc/self/mountinfo')}
state = '/var/lib/baker-agent/probe'
seen = {
    'user': pwd.getpwuid(os.getuid()).pw_name,
    'adm': 'adm' in [grp.getgrgid(gid).gr_name for gid in os.getgroups()],
    'read syslog': attempt(lambda: open('/var/log/syslog').close()),
    'write /usr': write('/usr/probe'),
    'write /etc': write('/etc/open/probe'),
    'write /var': write('/var/tmp-probe'),
    'write /home': write('/home/open/probe'),
    'write state': write(state),
    'see /tmp': attempt(lambda: os.stat('/tmp/outside')),
    'see /dev/console': attempt(lambda: os.stat('/dev/console')),
    'see modules': attempt(lambda: os.stat('/lib/modules/probe')),
    'capabilities': status['CapBnd'],
    'no new privileges': status['NoNewPrivs'],
    'packet socket': attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    'writable code': attempt(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    'personality': call('personality', 0x0400000),
    'trace': call('ptrace', 0, 0, None, None),
    'cgroups read-only': any('ro' in options for at, options in mounts.items() if at.startswith('/sys/fs/cgroup')),
    'namespace': call('unshare', 0x10000000),
    'umask': oct(os.umask(0)),
}
print(json.dumps(seen))
"#;

/// systemd's names of errors, as Linux numbers them.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EROFS: i32 = 30;
const EAFNOSUPPORT: i32 = 97;

fn unit() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/baker-agent.service")
}

fn base64(text: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What `systemd-analyze security` of this machine thinks of the unit; Ubuntu 18.04's can't judge yet.
fn print_score() {
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit())
        .output();
    if let Ok(judged) = judged
        && let Some(score) = String::from_utf8_lossy(&judged.stdout)
            .lines()
            .find(|line| line.contains("exposure level"))
    {
        println!("systemd-analyze security: {}", score.trim());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_s_systemd_takes_the_unit_and_holds_what_it_promises() {
    print_score();
    let lab = Lab::start().unwrap();
    let rig = Rig::new(&lab).await;
    let id = rig
        .launch(&rig.ubuntu().await, "", ShutdownBehavior::Stop)
        .await;
    let put = async |path: &str, content: &[u8]| {
        let (folder, content) = (Path::new(path).parent().unwrap(), base64(content));
        let folder = folder.display();
        rig.ssh(
            &id,
            &format!(
                "sudo mkdir -p {folder} && echo {content} | base64 -d | sudo tee {path} >/dev/null"
            ),
        )
        .await;
    };
    println!(
        "host: {}",
        rig.ssh(&id, "systemctl --version | head -1").await
    );
    let sysusers = unit().with_file_name("baker-agent.sysusers");
    put(
        "/usr/lib/sysusers.d/baker-agent.conf",
        &std::fs::read(sysusers).unwrap(),
    )
    .await;
    put(
        "/lib/systemd/system/baker-agent.service",
        &std::fs::read(unit()).unwrap(),
    )
    .await;
    put("/usr/local/lib/probe.py", PROBE.as_bytes()).await;
    rig.ssh(
        &id,
        "sudo systemd-sysusers 2>/dev/null; sudo ln -s /bin/true /usr/bin/baker-agent; sudo mkdir -p /lib/modules/probe /etc/baker-agent; \
         sudo mkdir -m 777 /home/open /etc/open; sudo chmod 777 /usr /var; sudo touch /tmp/outside; logger hello",
    )
    .await;
    assert_eq!(
        rig.ssh(
            &id,
            "systemd-analyze verify --man=no baker-agent.service 2>&1 | grep baker-agent; true"
        )
        .await,
        "",
        "systemd complains of the unit"
    );

    // Everything of the unit but what is run, and how it is waited for.
    let drop_in = "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n\
                   ExecStart=/bin/sh -c 'python3 /usr/local/lib/probe.py > /var/lib/baker-agent/seen'\n";
    put(
        "/etc/systemd/system/baker-agent.service.d/probe.conf",
        drop_in.as_bytes(),
    )
    .await;
    let within = rig
        .ssh(
            &id,
            "sudo systemctl daemon-reload && sudo systemctl start baker-agent 2>&1 || sudo journalctl --no-pager -u baker-agent; \
             sudo cat /var/lib/baker-agent/seen",
        )
        .await;
    let within: Value = serde_json::from_str(&within).unwrap_or_else(|_| panic!("{within}"));
    let without = rig
        .ssh(&id, "sudo -u baker-agent python3 /usr/local/lib/probe.py")
        .await;
    let without: Value = serde_json::from_str(&without).unwrap_or_else(|_| panic!("{without}"));

    for (what, held) in [
        ("user", json!("baker-agent")),
        ("adm", json!(true)),
        ("read syslog", json!(0)),
        ("write state", json!(0)),
    ] {
        assert_eq!(within[what], held, "{what}: {within:#}");
    }
    for (what, held) in [
        ("write /usr", json!(EROFS)),
        ("write /etc", json!(EROFS)),
        ("write /var", json!(EROFS)),
        ("write /home", json!(EROFS)),
        ("see /tmp", json!(ENOENT)),
        ("see /dev/console", json!(ENOENT)),
        ("see modules", json!(EACCES)),
        // CAP_LEASE alone.
        ("capabilities", json!("0000000010000000")),
        ("no new privileges", json!("1")),
        ("packet socket", json!(EAFNOSUPPORT)),
        ("writable code", json!(EPERM)),
        ("personality", json!(EPERM)),
        ("trace", json!(EPERM)),
        ("cgroups read-only", json!(true)),
        ("namespace", json!(EPERM)),
        ("umask", json!("0o77")),
    ] {
        println!(
            "{what}: {} (without the unit: {})",
            within[what], without[what]
        );
        assert_eq!(within[what], held, "{what}: {within:#}");
        assert_ne!(without[what], held, "{what} says nothing: {without:#}");
    }
    let ignored = rig
        .ssh(&id, "sudo journalctl --no-pager -b | grep -E 'baker-agent.service.*(Unknown|Failed to parse)' || true")
        .await;
    assert_eq!(ignored, "");
}
