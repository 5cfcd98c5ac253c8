//! Reading no more than was announced.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use reqwest::Response;
use tokio::io::AsyncWrite;

/// Keeps what is written to it, and refuses to keep more than `limit` bytes.
#[derive(Debug)]
pub(super) struct BoundedBuffer {
    bytes: Vec<u8>,
    limit: usize,
}

impl BoundedBuffer {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.limit - self.bytes.len() < bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl AsyncWrite for BoundedBuffer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.add(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The body of an answer; none when it has more than `limit` bytes. A length in the header is not believed.
pub(super) async fn body(
    mut response: Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut buffer = BoundedBuffer::new(limit);
    while let Some(chunk) = response.chunk().await? {
        if buffer.add(&chunk).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(buffer.into_bytes()))
}
