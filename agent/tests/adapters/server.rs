//! A server that says exactly what a test wants, and keeps what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// `PutLogEvents`.
    pub(crate) fn action(&self) -> &str {
        self.header("x-amz-target")
            .and_then(|it| it.split_once('.'))
            .map_or("", |(_, action)| action)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The same with a body that is no text.
    Bytes(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// None: the connection is closed when the request is read.
    Close,
    /// None, ever.
    Silence,
    /// The beginning of one, then the connection is closed.
    Cut,
    /// One that begins so, and goes on with these bytes for as long as somebody takes them.
    Endless(String, &'static [u8]),
    /// The same, but one byte in a while.
    Drip(String, Duration),
}

impl Reply {
    pub(crate) fn json(body: &str) -> Reply {
        Reply::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &str) -> Reply {
        Reply::Answer(status, Vec::new(), body.to_owned())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    forgets: AtomicBool,
    connections: AtomicUsize,
    /// Bytes of endless answers that somebody took.
    taken: AtomicUsize,
    stopped: AtomicBool,
}

impl Shared {
    fn keep(&self, request: Request) {
        if !self.forgets.load(Ordering::SeqCst) {
            self.requests.lock().unwrap().push(request);
        }
    }
}

/// Ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::run(handler, plain)
    }

    /// With TLS.
    pub(crate) fn start_tls(
        tls: Arc<ServerConfig>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::run(handler, move |stream, shared| secure(&tls, stream, shared))
    }

    /// A proxy that leads every CONNECT to `to`, whatever name is asked for.
    pub(crate) fn start_tunnel(to: SocketAddr) -> Server {
        Server::run(
            |_| Reply::status(405, ""),
            move |mut stream, shared| {
                let request = read_request(&mut BufReader::new(stream.try_clone()?))?;
                let asked = request.map(|it| {
                    let connect = it.method == "CONNECT";
                    shared.keep(it);
                    connect
                });
                if asked != Some(true) {
                    return stream.write_all(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n");
                }
                let mut there = TcpStream::connect(to)?;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                let (mut from, mut back) = (stream.try_clone()?, there.try_clone()?);
                let up = thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut back);
                    let _ = back.shutdown(Shutdown::Both);
                });
                let _ = io::copy(&mut there, &mut stream);
                let _ = stream.shutdown(Shutdown::Both);
                up.join().map_err(|_| io::Error::other("a copy panicked"))
            },
        )
    }

    fn run(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        connection: impl Fn(TcpStream, &Shared) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            forgets: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let connection = Arc::new(connection);
        let for_all = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if for_all.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, for_all.clone()) else {
                    continue;
                };
                // Head and body are written one after the other.
                let _ = stream.set_nodelay(true);
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let connection = connection.clone();
                thread::spawn(move || connection(stream, &shared));
            }
        });
        Server { address, shared }
    }

    /// From here on keeps nothing of what it is asked: a benchmark would fill the memory.
    pub(crate) fn forget(self) -> Server {
        self.shared.forgets.store(true, Ordering::SeqCst);
        self
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many bytes of endless answers were taken, by readers and by what is between them and here.
    pub(crate) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// Certificates for `names`: the authority's in PEM, and what a server needs.
pub(crate) fn certificates(names: &[&str]) -> (String, Arc<ServerConfig>) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (authority_certificate.pem(), Arc::new(config))
}

/// One side reads, then the other writes: never both at once.
#[derive(Clone)]
struct SharedStream(Arc<Mutex<StreamOwned<ServerConnection, TcpStream>>>);

impl Read for SharedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().read(buffer)
    }
}

impl Write for SharedStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

fn plain(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    serve(stream.try_clone()?, stream, shared)
}

fn secure(tls: &Arc<ServerConfig>, stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
    let stream = SharedStream(Arc::new(Mutex::new(StreamOwned::new(connection, stream))));
    serve(stream.clone(), stream, shared)
}

fn serve(reader: impl Read, mut writer: impl Write, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(request) = read_request(&mut reader)? {
        let reply = (shared.handler)(&request);
        shared.keep(request);
        let reply = match reply {
            Reply::Answer(status, headers, body) => Reply::Bytes(status, headers, body.into()),
            other => other,
        };
        match reply {
            Reply::Answer(..) => {}
            Reply::Bytes(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                writer.write_all(format!("{head}\r\n").as_bytes())?;
                writer.write_all(&body)?;
                writer.flush()?;
            }
            Reply::Close => return Ok(()),
            Reply::Silence => {
                // Until the other side gives up.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
            Reply::Endless(head, piece) => {
                writer.write_all(head.as_bytes())?;
                let many = piece.repeat(32 * 1024 / piece.len());
                while !shared.stopped.load(Ordering::SeqCst) {
                    writer.write_all(&many)?;
                    shared.taken.fetch_add(many.len(), Ordering::SeqCst);
                }
                return Ok(());
            }
            Reply::Drip(head, pause) => {
                writer.write_all(head.as_bytes())?;
                while !shared.stopped.load(Ordering::SeqCst) {
                    writer.write_all(b" ")?;
                    writer.flush()?;
                    thread::sleep(pause);
                }
                return Ok(());
            }
            Reply::Cut => {
                writer.write_all(b"HTTP/1.1 200 -\r\ncontent-length: 1000\r\n\r\n{\"rej")?;
                return writer.flush();
            }
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .map_or(0, |it| it.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
