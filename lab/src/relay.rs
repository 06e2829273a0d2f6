//! The hosts' only way out: connections to the gateway's ports 80 and 443 are passed on, unread, to the allowed name that they ask for
//! (TLS: the server name of the first message; HTTP: the Host header).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::egress::Egress;

/// A first message longer than this is none that a package manager sends.
const FIRST_MESSAGE_LIMIT_BYTES: usize = 16 * 1024;
const FIRST_MESSAGE_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// One of the relay's two listeners.
pub(crate) struct Relay {
    listener: TcpListener,
    port: u16,
    egress: Arc<Egress>,
}

impl Relay {
    pub(crate) async fn bind(gateway: Ipv4Addr, port: u16, egress: Arc<Egress>) -> Result<Self> {
        let listener = TcpListener::bind((gateway, port))
            .await
            .with_context(|| format!("could not listen on {gateway}:{port}"))?;
        Ok(Self {
            listener,
            port,
            egress,
        })
    }

    /// Relays until cancelled.
    pub(crate) async fn serve(self) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others may be freed meanwhile.
                tokio::time::sleep(crate::front_door::ACCEPT_PAUSE).await;
                continue;
            };
            connections.spawn(relay(stream, self.port, self.egress.clone()));
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn relay(mut inside: TcpStream, port: u16, egress: Arc<Egress>) -> Result<()> {
    let (name, first) =
        tokio::time::timeout(FIRST_MESSAGE_LIMIT, first_message(&mut inside, port)).await??;
    if !egress.allows(&name) {
        if port == 80 {
            let body = format!(
                "the lab does not let hosts reach {name}; allow it with `lab up --allow-host {name}`\n"
            );
            let head = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            inside.write_all((head + &body).as_bytes()).await?;
        }
        return Ok(());
    }
    let mut outside =
        tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect((name.as_str(), port))).await??;
    outside.write_all(&first).await?;
    tokio::io::copy_bidirectional(&mut inside, &mut outside).await?;
    Ok(())
}

/// Reads until the name is known; returns it with everything read so far.
async fn first_message(stream: &mut TcpStream, port: u16) -> Result<(String, Vec<u8>)> {
    let mut message = Vec::with_capacity(2048);
    while message.len() < FIRST_MESSAGE_LIMIT_BYTES {
        if stream.read_buf(&mut message).await? == 0 {
            break;
        }
        let found = if port == 443 {
            server_name(&message)
        } else {
            host_header(&message)
        };
        if let Some(name) = found {
            return Ok((name, message));
        }
    }
    bail!("the first message names no host")
}

fn host_header(message: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let head = &text[..text.find("\r\n\r\n")?];
    let value = head.lines().skip(1).find_map(|line| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map(|(_, value)| value)
    })?;
    Some(value.trim().split(':').next()?.to_lowercase())
}

/// The server_name extension of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).
fn server_name(message: &[u8]) -> Option<String> {
    let record = message.get(5..)?;
    let mut rest = record.get(4 + 2 + 32..)?;
    let session = usize::from(*rest.first()?);
    rest = rest.get(1 + session..)?;
    rest = rest.get(2 + pair(rest)?..)?;
    rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    let mut extensions = rest.get(2..2 + pair(rest)?)?;
    while extensions.len() >= 4 {
        let (kind, length) = (pair(extensions)?, pair(&extensions[2..])?);
        let body = extensions.get(4..4 + length)?;
        if kind == 0 {
            // List length, name type (0: host name), name length, name.
            let name = body.get(5..5 + pair(body.get(3..)?)?)?;
            return Some(String::from_utf8(name.to_vec()).ok()?.to_lowercase());
        }
        extensions = &extensions[4 + length..];
    }
    None
}

fn pair(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([
        *bytes.first()?,
        *bytes.get(1)?,
    ])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client_hello(name: &str) -> Vec<u8> {
        let len = |n: usize| u16::try_from(n).expect("short").to_be_bytes();
        let mut sni = vec![0];
        sni.extend(len(name.len()));
        sni.extend(name.as_bytes());
        let mut list = len(sni.len()).to_vec();
        list.extend(sni);
        let mut extensions = vec![0, 23, 0, 0, 0, 0];
        extensions.extend(len(list.len()));
        extensions.extend(list);
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([2, 9, 9]);
        hello.extend([0, 2, 0x13, 1, 1, 0]);
        hello.extend(len(extensions.len()));
        hello.extend(extensions);
        let mut message = vec![22, 3, 1];
        message.extend(len(hello.len() + 4));
        message.extend([1, 0]);
        message.extend(len(hello.len()));
        message.extend(hello);
        message
    }

    #[test]
    fn the_server_name_is_read_from_a_client_hello() {
        assert_eq!(
            server_name(&client_hello("Files.Example")).as_deref(),
            Some("files.example")
        );
    }

    #[test]
    fn the_host_header_is_read_once_the_head_is_complete() {
        assert_eq!(
            host_header(b"GET / HTTP/1.1\r\nHost: Mirror.example:80\r\n"),
            None
        );
        assert_eq!(
            host_header(b"GET / HTTP/1.1\r\nAccept: */*\r\nhOST: Mirror.example:80\r\n\r\n")
                .as_deref(),
            Some("mirror.example")
        );
    }

    proptest! {
        #[test]
        fn no_cut_or_garbled_message_panics(cut in 0_usize..120, flip in 0_usize..120, bits in any::<u8>()) {
            let mut message = client_hello("files.example");
            let at = flip % message.len();
            message[at] ^= bits;
            let end = cut.min(message.len());
            let _ = server_name(&message[..end]);
            let _ = host_header(&message[..end]);
        }
    }
}
