//! A source that misbehaves below HTTP: bytes on a socket, in any order, at any pace.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::helpers::{anthropic_model, google_model};

/// What kind of source it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plays {
    OpenAi,
    Google,
    Anthropic,
    /// An OpenAI-compatible local server.
    Endpoint,
    Ollama,
}

impl Plays {
    pub const ALL: [Self; 5] = [
        Self::OpenAi,
        Self::Google,
        Self::Anthropic,
        Self::Endpoint,
        Self::Ollama,
    ];

    /// Where its list is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Google => "/v1beta/models",
            Self::Ollama => "/api/tags",
            Self::OpenAi | Self::Anthropic | Self::Endpoint => "/v1/models",
        }
    }

    /// The name of the field that holds an entry's id.
    pub fn id_field(self) -> &'static str {
        if matches!(self, Self::Google | Self::Ollama) {
            "name"
        } else {
            "id"
        }
    }

    pub fn entry(self, id: &str) -> Value {
        match self {
            Self::OpenAi | Self::Endpoint => {
                json!({"id": id, "object": "model", "created": 1, "owned_by": "x"})
            }
            Self::Google => google_model(id),
            Self::Anthropic => anthropic_model(id),
            Self::Ollama => json!({"name": id, "modified_at": "2026-02-03T00:54:07Z"}),
        }
    }

    /// A list with these entries.
    pub fn list(self, entries: &[Value]) -> Value {
        match self {
            Self::OpenAi | Self::Endpoint => json!({"object": "list", "data": entries}),
            Self::Google | Self::Ollama => json!({ "models": entries }),
            Self::Anthropic => json!({"data": entries, "has_more": false}),
        }
    }

    /// A page that says that more come at `cursor`.
    pub fn page(self, entries: &[Value], cursor: &str) -> Value {
        let mut page = self.list(entries);
        match self {
            Self::Google => page["nextPageToken"] = cursor.into(),
            Self::Ollama => {}
            Self::OpenAi | Self::Anthropic | Self::Endpoint => {
                page["has_more"] = true.into();
                page["last_id"] = cursor.into();
            }
        }
        page
    }
}

/// What it does with a request.
pub enum Response {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes, one a second.
    Drip(Vec<u8>),
    /// Sends these bytes, then says nothing and keeps the connection.
    Stall(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Sends these bytes, then the second ones for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// Says nothing and keeps the connection.
    Silence,
}

/// A request's path and query.
pub type Respond = Arc<dyn Fn(&str) -> Response + Send + Sync>;

/// An HTTP answer.
pub fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Response {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    Response::Bytes([head.as_bytes(), body].concat())
}

pub struct FaultServer {
    pub address: SocketAddr,
    respond: Arc<Mutex<Respond>>,
    asked: Arc<AtomicUsize>,
    accepting: Option<AbortHandle>,
}

impl FaultServer {
    pub async fn start(respond: Respond) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut server = Self {
            address,
            respond: Arc::new(Mutex::new(respond)),
            asked: Arc::default(),
            accepting: None,
        };
        server.accept(listener);
        server
    }

    fn accept(&mut self, listener: TcpListener) {
        let (respond, asked) = (self.respond.clone(), self.asked.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                asked.fetch_add(1, Ordering::SeqCst);
                // A peer that goes away is no matter.
                tokio::spawn(serve(stream, respond.clone()));
            }
        });
        self.accepting = Some(accepting.abort_handle());
    }

    /// Behaves like this from now on.
    pub fn set(&self, respond: Respond) {
        *self.respond.lock().expect("no panic") = respond;
    }

    /// Connections so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on.
    pub fn close(&mut self) {
        self.accepting.take().expect("it accepts").abort();
    }

    /// Accepts connections again.
    pub async fn open(&mut self) {
        if self.accepting.is_none() {
            let listener = TcpListener::bind(self.address)
                .await
                .expect("our port is still free");
            self.accept(listener);
        }
    }
}

async fn serve(mut stream: TcpStream, respond: Arc<Mutex<Respond>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
        // A TLS handshake instead of HTTP: garbage is the answer.
        if request[0] == 0x16 {
            return stream.write_all(b"this is not TLS\r\n\r\n").await;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let respond = respond.lock().expect("no panic").clone();
    match respond(&target) {
        Response::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Response::Drip(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
        Response::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            // The bytes must be on their way before the reset drops what is not.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.set_zero_linger()
        }
        Response::Endless(head, chunk) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Response::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
            Ok(())
        }
        Response::Silence => {
            // Until the peer gives up.
            while stream.read(&mut [0; 64]).await? > 0 {}
            Ok(())
        }
    }
}
