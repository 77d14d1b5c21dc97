//! A connection that lets others have their turn. A client that reads fast takes a large answer as fast as it
//! is written, without a pause in which a serving thread could do anything else.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one connection may write before others have their turn, in bytes: the whole list of most catalogs.
const TURN_BYTES: usize = 160 * 1024;

/// A connection whose writes pause after each turn.
#[derive(Debug)]
pub struct FairStream<S> {
    stream: S,
    /// What was written in this turn, in bytes.
    written: usize,
}

impl<S: AsyncWrite + Unpin> FairStream<S> {
    /// A fair connection on `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, written: 0 }
    }

    /// Writes in this turn, or ends it.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.written >= TURN_BYTES {
            self.written = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = write(Pin::new(&mut self.stream), cx);
        match &result {
            Poll::Ready(Ok(written)) => self.written += written,
            _ => self.written = 0,
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FairStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(TURN_BYTES)];
        self.get_mut()
            .poll_turn(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The head of an answer and the beginning of its body.
        let mut short = Vec::with_capacity(slices.len());
        let mut left = TURN_BYTES;
        for slice in slices {
            let length = slice.len().min(left);
            left -= length;
            short.push(IoSlice::new(&slice[..length]));
        }
        self.get_mut()
            .poll_turn(cx, |stream, cx| stream.poll_write_vectored(cx, &short))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FairStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_turn_ends() {
        let mut stream = FairStream::new(Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        let body = vec![0; 3 * TURN_BYTES];
        let head = [0; 100];
        let mut write =
            |slices: &[IoSlice]| Pin::new(&mut stream).poll_write_vectored(&mut cx, slices);
        let slices = [IoSlice::new(&head), IoSlice::new(&body)];
        assert!(matches!(write(&slices), Poll::Ready(Ok(TURN_BYTES))));
        assert!(write(&slices).is_pending(), "others have their turn");
        assert!(matches!(write(&slices[..1]), Poll::Ready(Ok(100))));
        assert!(matches!(write(&slices), Poll::Ready(Ok(TURN_BYTES))));
        assert!(write(&slices).is_pending());
        let written = Pin::new(&mut stream).poll_write(&mut cx, &body);
        assert!(matches!(written, Poll::Ready(Ok(TURN_BYTES))));
    }
}
