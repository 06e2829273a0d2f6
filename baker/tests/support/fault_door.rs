//! A door in front of the lab's front door that lets faults happen: an error in AWS's words instead of an answer, or an
//! answer that gets lost on the way back, after AWS has acted.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// AWS answers with this status and code, and does nothing.
    Refuse(u16, &'static str),
    /// AWS acts, and the connection breaks before its answer.
    LoseAnswer,
}

/// A fault for the requests whose body has all these texts, a number of times.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) texts: &'static [&'static str],
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

/// The door; its threads end with the process.
pub(crate) struct FaultDoor {
    pub(crate) endpoint: String,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl FaultDoor {
    /// Opens a door to an endpoint (`http://127.0.0.1:4566`).
    pub(crate) fn open(behind: &str, rules: Vec<Rule>) -> FaultDoor {
        let behind = behind.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let rules = Arc::new(Mutex::new(rules));
        let shared = Arc::clone(&rules);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (behind, rules) = (behind.clone(), Arc::clone(&shared));
                // A client that went away is not this test's matter.
                std::thread::spawn(move || pass(&client?, &behind, &rules));
            }
        });
        FaultDoor { endpoint, rules }
    }

    /// Asserts that every fault has happened as often as it should.
    #[track_caller]
    pub(crate) fn all_happened(&self) {
        let rules = self.rules.lock().unwrap();
        let left: Vec<&Rule> = rules.iter().filter(|rule| rule.times > 0).collect();
        assert!(left.is_empty(), "never happened: {left:?}");
    }
}

/// One request a connection.
fn pass(client: &TcpStream, behind: &str, rules: &Mutex<Vec<Rule>>) -> io::Result<()> {
    let (head, body) = read_request(client)?;
    let text = String::from_utf8_lossy(&body);
    let fault = rules
        .lock()
        .unwrap()
        .iter_mut()
        .find(|rule| rule.times > 0 && rule.texts.iter().all(|wanted| text.contains(wanted)))
        .map(|rule| {
            rule.times -= 1;
            rule.fault
        });
    if let Some(Fault::Refuse(status, code)) = fault {
        let answer = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>by the test</Message></Error></Errors>\
             <RequestID>r</RequestID></Response>"
        );
        return write!(
            &mut &*client,
            "HTTP/1.1 {status} Fault\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(head.as_bytes())?;
    server.write_all(b"connection: close\r\n\r\n")?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match fault {
        Some(Fault::LoseAnswer) => Ok(()),
        _ => (&mut &*client).write_all(&answer),
    }
}

/// The request line and headers without `connection`, each with its line end, and the body.
fn read_request(client: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "connection" => continue,
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}
