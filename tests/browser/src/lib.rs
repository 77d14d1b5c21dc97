//! A headless Chromium, driven through WebDriver. Needs `chromium` and `chromedriver` (Debian: the packages
//! `chromium` and `chromium-driver`) and fails with these words where they are missing.

use std::{
    io::ErrorKind,
    net::TcpListener,
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, elements::Element, key::Key, wd::WebDriverCompatibleCommand,
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use url::Url;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// What to do where there is no browser.
const MISSING: &str = "cannot start chromedriver: install Chromium and its driver (Debian: apt-get install chromium chromium-driver)";

/// A port for a driver, which needs the same one of both families. It is none of those that the system gives to
/// connections (from 32768 on), so nothing takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 600).unwrap_or_default() * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        // A machine without one of the families has no use for it.
        let is_free = |address| match TcpListener::bind((address, port)) {
            Err(error) => error.kind() != ErrorKind::AddrInUse,
            Ok(_) => true,
        };
        if is_free("127.0.0.1") && is_free("::1") {
            return port;
        }
    }
}

/// A browser with one window.
pub struct Browser {
    /// The WebDriver session.
    pub client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// A command of Chromium's that WebDriver itself does not have.
#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Starts a browser whose window is 1280 by 900 pixels.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{MISSING}: {error}"));
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        loop {
            let line = lines.next_line().await.expect("a line").expect(MISSING);
            if line.contains("started successfully") {
                break;
            }
        }
        // Its pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let capabilities = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--window-size=1280,900", "--force-color-profile=srgb", "--lang=en-GB",
                format!("--user-data-dir={}", profile.path().display()),
            ]},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let browser = Self {
            client,
            driver,
            _profile: profile,
        };
        // The browser's own first page has a console and requests of its own.
        browser.open("about:blank").await;
        for kind in ["browser", "performance"] {
            browser.log(kind).await;
        }
        browser
    }

    /// Opens `url`.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// Calls `method` of Chromium's own protocol.
    pub async fn chromium(&self, method: &str, parameters: Value) -> Value {
        let body = json!({"cmd": method, "params": parameters});
        let path = "goog/cdp/execute";
        let command = Chromium { path, body };
        self.client.issue_cmd(command).await.expect("an answer")
    }

    /// The window is `width` by `height` pixels, as on a telephone if it is narrow.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.chromium("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// The system prefers dark colours.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.chromium("Emulation.setEmulatedMedia", features).await;
    }

    /// What `script` returns, with `arguments` as its arguments.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let ran = self.client.execute(script, arguments.to_vec()).await;
        ran.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The element that `selector` finds.
    pub async fn find(&self, selector: &str) -> Element {
        let found = self.client.find(fantoccini::Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("no {selector}: {error}"))
    }

    /// The texts of all elements that `selector` finds, in order.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent.trim())";
        let texts = self.run(script, &[json!(selector)]).await;
        serde_json::from_value(texts).expect("texts")
    }

    /// Types `text`.
    pub async fn press(&self, text: &str) {
        let active = self.client.active_element().await.expect("an element");
        active.send_keys(text).await.expect("typed");
    }

    /// Presses `key`.
    pub async fn press_key(&self, key: Key) {
        self.press(&char::from(key).to_string()).await;
    }

    /// Waits until `script` returns true; fails after 20 s, saying what it waited for.
    pub async fn until(&self, what: &str, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(script, &[]).await != json!(true) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the path and query of the page begin with `expected`; needs no script. Fails after 20 s.
    pub async fn until_path(&self, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = self.path().await;
            if path.starts_with(expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{path} is not {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The path and query of the page.
    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url[url::Position::BeforePath..].to_owned()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let body = json!({"type": kind});
        let command = Chromium {
            path: "se/log",
            body,
        };
        let log = self.client.issue_cmd(command).await.expect("a log");
        log.as_array().expect("entries").clone()
    }

    /// Ends the browser. Fails if a page has written an error to the console, other than for an answer
    /// that `expected` names, or has asked another host than `base` for anything.
    pub async fn stop(mut self, base: &str, expected: &[&str]) {
        for entry in self.log("browser").await {
            let message = entry["message"].as_str().unwrap_or_default();
            let is_expected = expected.iter().any(|expected| message.contains(expected));
            assert!(is_expected, "the console says: {message}");
        }
        for entry in self.log("performance").await {
            let message: Value =
                serde_json::from_str(entry["message"].as_str().expect("text")).expect("JSON");
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let url = message["params"]["request"]["url"].as_str().expect("a URL");
                // The sign of a date control is of the browser itself.
                let is_own = url.starts_with(base) || url.starts_with("data:image/svg+xml");
                assert!(is_own, "a page asked for {url}");
            }
        }
        self.client.clone().close().await.expect("it closes");
        self.driver.kill().await.expect("it ends");
    }
}
