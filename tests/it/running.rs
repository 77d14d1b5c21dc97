//! The harness for the real binary: starting it, reading its log, stopping it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::helpers::{ANTHROPIC_KEY, GOOGLE_KEY, OPENAI_KEY, Setup, plain_client};

/// The binary with an empty environment in `setup`'s directory.
pub fn command(setup: &Setup) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-catalog"));
    command
        .env_clear()
        .env("MODEL_CATALOG_LOG_FORMAT", "human")
        .current_dir(setup.directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The same, told of `setup`'s three providers, and of nothing else on this machine.
pub fn command_with_providers(setup: &Setup) -> Command {
    let mut command = command(setup);
    command
        .env("MODEL_CATALOG_DISCOVER", "false")
        .env("MODEL_CATALOG_LISTEN", "127.0.0.1:0")
        .env("OPENAI_API_KEY", OPENAI_KEY)
        .env("OPENAI_BASE_URL", format!("{}/v1", setup.openai.uri()))
        .env("GEMINI_API_KEY", GOOGLE_KEY)
        .env("GOOGLE_GEMINI_BASE_URL", setup.google.uri())
        .env("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
        .env("ANTHROPIC_BASE_URL", setup.anthropic.uri());
    command
}

/// A running binary; killed when dropped.
pub struct Running {
    child: Child,
    pub base: String,
    log: Arc<Mutex<String>>,
    pub http: reqwest::Client,
}

impl Running {
    /// Starts `command` and waits until it says where it listens.
    pub async fn start(command: Command) -> Self {
        Self::start_logging(command, "serving: GET ").await
    }

    /// The same, when it says so after `text`.
    pub async fn start_logging(command: Command, text: &str) -> Self {
        Self::spawn(command).listening(text).await
    }

    /// Waits until it says after `text` where it listens.
    pub async fn listening(mut self, text: &str) -> Self {
        self.until_logged(text).await;
        self.base = self
            .log()
            .lines()
            .filter_map(|line| line.split_once(text))
            .find_map(|(_, url)| Some(url.split_once("/v1/models")?.0))
            .expect("an address")
            .to_owned();
        self
    }

    /// Starts `command`.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Mutex::new(String::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = written.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            child,
            base: String::new(),
            log,
            http: plain_client().build().expect("an HTTP client"),
        }
    }

    /// Starts `command` with a log that the test does not read, and waits until it answers.
    pub async fn start_unread(mut command: Command, stderr: Stdio) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = command
            .env("MODEL_CATALOG_LISTEN", address.to_string())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        // The command holds an end of the pipe too.
        drop(command);
        let running = Self {
            child,
            base: format!("http://{address}"),
            log: Arc::default(),
            http: plain_client()
                .timeout(Duration::from_secs(20))
                .build()
                .expect("a client"),
        };
        let url = format!("{}/healthz", running.base);
        let deadline = Instant::now() + Duration::from_secs(20);
        while running.http.get(&url).send().await.is_err() {
            assert!(Instant::now() < deadline, "it does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    /// Waits until a whole line with `text` has been logged; fails after a minute.
    pub async fn until_logged(&self, text: &str) {
        self.until_logged_after(0, text).await;
    }

    /// Waits until a whole line with `text` has been logged after the first `bytes` of the log; fails
    /// after a minute.
    pub async fn until_logged_after(&self, bytes: usize, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log()[bytes..].lines().any(|line| line.contains(text)) {
            assert!(
                Instant::now() < deadline,
                "not logged: {text}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn get(&self, path: &str) -> String {
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .expect("an answer");
        answer.text().await.expect("a body")
    }

    pub async fn ids(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.get("/v1/models").await).expect("JSON");
        let models = list["data"].as_array().expect("data");
        models
            .iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .expect("kill runs")
                .success()
        );
    }

    /// Puts `text`, the log of an earlier run, in front.
    pub fn prepend_log(&self, text: &str) {
        self.log.lock().expect("no panic").insert_str(0, text);
    }

    #[cfg(target_os = "linux")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has had so far; 0 where the system does not say.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.map_or(0, |peak| {
            peak.trim()
                .trim_end_matches(" kB")
                .parse()
                .expect("a number")
        })
    }

    /// Sends `signal` and waits for the end; the exit code and how long it took.
    pub fn stop(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal(signal);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it ran") {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        (status.code(), began.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end; its exit code and what it wrote to stderr.
pub fn run(mut command: Command) -> (Option<i32>, String) {
    let mut child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut text = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut text)
        .expect("text");
    (child.wait().expect("it ends").code(), text)
}

pub async fn sqlx_exec(setup: &Setup, sql: &str) {
    use sqlx::Connection;
    let mut connection = sqlx::SqliteConnection::connect(&setup.database_url())
        .await
        .expect("it opens");
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .expect("executed");
    connection.close().await.expect("closed");
}
