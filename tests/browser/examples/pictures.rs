//! Takes the pictures of docs/images from a running demo: every page in light and dark, and on a telephone.
//!
//! ```sh
//! cargo build --release && cargo run -p browser-tests --example pictures -- target/release/model-catalog docs/images
//! ```

use std::{path::Path, process::Stdio, time::Duration};

use browser_tests::Browser;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// The pages, and what their pictures are called.
const PAGES: [(&str, &str); 4] = [
    ("models", "/?sort=-context"),
    ("model", "/ui/models/openai:gpt-x"),
    ("sources", "/ui/sources"),
    ("changes", "/ui/changes"),
];
/// The quality of the pictures, of 100.
const QUALITY: u8 = 70;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, folder] = &arguments[..] else {
        panic!("usage: pictures BINARY FOLDER");
    };
    let mut demo = Command::new(binary)
        .arg("demo")
        .env("MODEL_CATALOG_LISTEN", "127.0.0.1:0")
        .env("MODEL_CATALOG_LOG_FORMAT", "human")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the demo starts");
    let mut log = BufReader::new(demo.stderr.take().expect("a pipe")).lines();
    let base = loop {
        let line = log
            .next_line()
            .await
            .expect("a line")
            .expect("the demo goes on");
        if let Some((_, url)) = line.split_once("serving: GET ") {
            break url
                .split("/v1/models")
                .next()
                .expect("an address")
                .to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    let browser = Browser::start().await;
    browser.open(&format!("{base}/ui/sources")).await;
    // One that fails and one that is held are what the page is for.
    let both = "fetch('/catalog/sources').then((answer) => answer.json()).then((all) => { window.both = all.sources.some((one) => one.held) && all.sources.some((one) => one.error) }); return window.both === true";
    browser.until("a source fails and one is held", both).await;
    for (name, path) in PAGES {
        for (kind, scheme, width, height, scale) in [
            ("light", "light", 1280, 800, 2),
            ("dark", "dark", 1280, 800, 2),
            ("phone", "light", 390, 844, 2),
        ] {
            browser.prefer(scheme).await;
            let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600});
            browser
                .chromium("Emulation.setDeviceMetricsOverride", size)
                .await;
            browser.open(&format!("{base}{path}")).await;
            // The script has put the times into the reader's zone.
            browser
                .until(
                    "the script has run",
                    "return document.documentElement.classList.contains('with-script')",
                )
                .await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let picture = browser
                .chromium(
                    "Page.captureScreenshot",
                    json!({"format": "webp", "quality": QUALITY}),
                )
                .await;
            let file = Path::new(folder).join(format!("{name}-{kind}.webp"));
            std::fs::write(&file, decode(&picture["data"])).expect("the picture is written");
            println!("{}", file.display());
        }
    }
    browser.stop(&base, &[]).await;
}

/// The bytes that `base64` stands for.
fn decode(base64: &Value) -> Vec<u8> {
    use base64::Engine;
    let text = base64.as_str().expect("a picture");
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("base64")
}
