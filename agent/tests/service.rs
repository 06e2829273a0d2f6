//! `baker-agent run` under a service manager: what it tells it, when it goes on being patted, and what a reload changes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::agent::{Program as _, Running};
use support::ground::{GROUP, Ground};
use support::writer::{self, Plan};

/// For what takes milliseconds; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The watchdog's limit. It is patted four times as often.
const WATCHDOG: Duration = Duration::from_secs(2);

/// Not a test: this program again, as the endpoint of the others.
#[test]
fn endpoint_process() {
    support::endpoint::serve_if_asked();
}

/// A service manager's end of the notifications.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Listens in the ground's folder, and starts the agent as a unit with a watchdog would.
    fn start(ground: &mut Ground) -> Self {
        let path = ground.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let agent = ground.agent.command(&ground.setup);
        // The watchdog's variables are for one process, which is known only when it is there.
        let mut command = Command::new("sh");
        command
            .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""])
            .arg(agent.get_program())
            .args(agent.get_args())
            .env_clear()
            .envs(
                agent
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .stdin(Stdio::null());
        ground.running = Some(Running::spawn(command, &ground.setup));
        Self { socket }
    }

    /// The next notification.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let bytes = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    }

    /// Waits for a notification with this line.
    fn await_line(&self, line: &str) -> String {
        let started = Instant::now();
        loop {
            let told = self.next();
            if told.lines().any(|told| told.starts_with(line)) {
                return told;
            }
            assert!(started.elapsed() < PATIENCE, "no {line}");
        }
    }

    /// Everything that was told and not read yet.
    fn drain(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(bytes) => told.push(String::from_utf8_lossy(&buffer[..bytes]).into_owned()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    self.socket.set_nonblocking(false).unwrap();
                    return told;
                }
            }
        }
    }
}

fn signal(ground: &Ground, signal: Signal) {
    let pid = ground.running.as_ref().unwrap().pid();
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// One thread of the agent, stopped by a tracer until this is dropped. The others go on.
struct Stopped(Child);

impl Stopped {
    fn thread(ground: &Ground, name: &str) -> Self {
        let pid = ground.running.as_ref().unwrap().pid();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let task = tasks
            .map(|task| task.unwrap().path())
            .find(|task| fs::read_to_string(task.join("comm")).unwrap().trim() == name)
            .unwrap_or_else(|| panic!("no thread {name}"));
        let id = task.file_name().unwrap().to_str().unwrap();
        // PTRACE_SEIZE and PTRACE_INTERRUPT, see ptrace(2): they stop the one thread, whatever it does.
        let script = "import ctypes, sys, time\n\
                      libc = ctypes.CDLL(None, use_errno=True)\n\
                      for request in (0x4206, 0x4207):\n    \
                          if libc.ptrace(request, int(sys.argv[1]), None, None) != 0:\n        \
                              sys.exit(ctypes.get_errno())\n\
                      sys.stdin.read()\n";
        let mut tracer = Command::new("python3")
            .args(["-c", script, id])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !fs::read_to_string(task.join("stat"))
            .unwrap()
            .contains(") t ")
        {
            assert_eq!(tracer.try_wait().unwrap(), None, "the tracer has ended");
            assert!(
                started.elapsed() < PATIENCE,
                "the thread {name} does not stop"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(tracer)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_manager_is_told_of_start_reload_and_end() {
    let mut ground = Ground::new("notify", &["a.log"]);
    let manager = Manager::start(&mut ground);
    assert!(manager.next().starts_with("READY=1\n"));
    manager.await_line("STATUS=baker-agent ");
    manager.await_line("WATCHDOG=1");
    signal(&ground, Signal::SIGHUP);
    manager.await_line("RELOADING=1");
    manager.await_line("READY=1");
    signal(&ground, Signal::SIGTERM);
    let told = manager.await_line("STOPPING=1");
    assert!(told.contains("EXTEND_TIMEOUT_USEC=25000000\n"), "{told}");
}

#[test]
fn one_part_that_hangs_is_not_hidden_by_the_others() {
    for part in ["engine", "ledger"] {
        let mut ground = Ground::new("hang", &["a.log"]);
        let manager = Manager::start(&mut ground);
        ground.greet();
        manager.await_line("WATCHDOG=1");
        let stopped = Stopped::thread(&ground, part);
        // A beat that was under way may still come round.
        manager.drain();
        ground.until("the complaint", || {
            ground.said().contains("has not gone on for a while")
        });
        let told = manager.drain();
        let pats = told.iter().filter(|told| told.contains("WATCHDOG")).count();
        assert!(pats <= 1, "{part}: {told:?}");
        manager.socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        let mut buffer = [0; 4096];
        let silence = manager.socket.recv(&mut buffer);
        assert!(silence.is_err(), "{part}: patted although it hangs");
        drop(stopped);
        manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        manager.await_line("WATCHDOG=1");
        ground.until("all to be fine", || ground.said().contains("fine again"));
    }
}

#[test]
fn a_reload_takes_files_up_and_leaves_files_and_the_others_go_on() {
    let mut ground = Ground::new("reload", &["kept.log", "added.log", "removed.log"]);
    let all = ground.setup.files.clone();
    let [kept, added, removed] = &all[..] else {
        panic!("three files");
    };
    ground.setup.files = vec![kept.clone(), removed.clone()];
    ground.start();
    ground.greet();
    let busy = Plan::new(&kept.path, 0, 2000).lines(8000).start();
    ground.until("lines", || busy.lines() > 2000);

    ground.setup.files = vec![kept.clone(), added.clone()];
    let first = writer::fill(&added.path, 1, 100, Duration::from_secs(5), 10);
    let _ = ground.agent.command(&ground.setup);
    signal(&ground, Signal::SIGHUP);
    ground.until("the reload", || {
        ground.said().contains("configuration read anew")
    });
    let unheard = writer::fill(&removed.path, 2, 100, Duration::from_secs(5), 10);
    ground.until("lines", || busy.lines() > 5000);

    // What was not meant for a while is read from where it was left.
    ground.setup.files = all.clone();
    let _ = ground.agent.command(&ground.setup);
    signal(&ground, Signal::SIGHUP);
    let written = [busy.finish(), first, unheard];
    ground.assert_exact(&written);
    assert_eq!(GROUP, all[0].group);
}

#[test]
fn a_configuration_that_does_not_hold_changes_nothing() {
    let mut ground = Ground::started("refused", &["a.log"]);
    let path = ground.folder().join("agent.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{good}\nnonsense = 1\n")).unwrap();
    signal(&ground, Signal::SIGHUP);
    ground.until("the complaint", || ground.said().contains("nonsense"));
    let written = writer::fill(&ground.log("a.log"), 0, 100, Duration::from_secs(5), 10);
    fs::write(&path, good).unwrap();
    signal(&ground, Signal::SIGHUP);
    ground.until("the reload", || {
        ground.said().contains("configuration read anew")
    });
    ground.assert_exact(&[written]);
}
