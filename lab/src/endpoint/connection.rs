//! One connection: requests one after the other, and a reset where a fault or a closed door says so.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::listen::Use;
use super::service::{Buffers, Reset, Service, lock};

/// Serves a connection to its end.
pub(super) async fn converse(stream: TcpStream, service: Arc<Service>, purpose: Use) {
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket {
        stream,
        reset: Arc::clone(&reset),
    };
    if purpose == Use::Control {
        serve(socket, service, reset).await;
        return;
    }
    let _open = Open::new(&service);
    if service.faults().connection() {
        reset.store(true, Ordering::Relaxed);
        return;
    }
    let door = service.door.clone();
    let closing = Arc::clone(&reset);
    tokio::select! {
        () = serve(socket, service, reset) => {}
        () = async { door.until(false).await; closing.store(true, Ordering::Relaxed) } => {}
    }
}

async fn serve(socket: Socket, service: Arc<Service>, reset: Arc<AtomicBool>) {
    // Small answers at once; the option cannot fail on a connected socket in a way that matters.
    let _ = socket.stream.set_nodelay(true);
    let buffers = Arc::new(Mutex::new(Buffers::default()));
    let answer = service_fn(move |request| {
        let (service, buffers) = (Arc::clone(&service), Arc::clone(&buffers));
        let reset = Arc::clone(&reset);
        async move {
            // HTTP/1.1 answers one request after the other, so the memory is there.
            let mut own = std::mem::take(&mut *lock(&buffers));
            // What was read is taken, whatever becomes of its client meanwhile: so it is with a service that is far away.
            let answer = tokio::spawn(async move {
                let answer = service.answer(request, &mut own).await;
                (answer, own)
            });
            let (answer, own) = answer.await.unwrap_or((Err(Reset), Buffers::default()));
            *lock(&buffers) = own;
            // Before hyper learns of it and lets go of the socket.
            reset.store(answer.is_err(), Ordering::Relaxed);
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), answer);
    // A client that breaks off is its own affair, and a fault has said by now what is to happen.
    let _ = connection.await;
}

/// Counts an open connection.
struct Open(Arc<Service>);

impl Open {
    fn new(service: &Arc<Service>) -> Self {
        let stats = &mut service.state().journal.stats;
        stats.connections += 1;
        stats.open_connections += 1;
        Self(Arc::clone(service))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().journal.stats.open_connections -= 1;
    }
}

/// A stream that can end with a reset instead of an orderly end.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Closing with data unsent or unread resets the connection; what fails here is closed in order.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
