//! How long people wait for the pages, measured in a headless Chromium on this machine: run it with
//! `cargo run --release -p browser-tests --example times`. Each figure is the median of several.

#[allow(dead_code)]
#[path = "../../it/helpers.rs"]
mod helpers;

use browser_tests::Browser;
use helpers::{Setup, mount_openai};
use serde_json::json;

/// How often each figure is taken.
const TIMES: usize = 15;

#[tokio::main]
async fn main() {
    println!(
        "| models | bytes of the first page | first paint | ready for input | a key until it is shown |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for count in [700, 10_000] {
        let mut setup = Setup::happy().await;
        setup.providers = vec!["openai"];
        let ids: Vec<String> = (0..count)
            .map(|number| format!("model-{number:05}"))
            .collect();
        setup.openai.reset().await;
        mount_openai(&setup.openai, &ids).await;
        let app = setup.start_ready().await;
        let browser = Browser::start().await;
        let (mut paints, mut readies, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes: f64 = 0.0;
        for _ in 0..TIMES {
            browser.open(&app.url("/")).await;
            browser
                .until(
                    "it is painted",
                    "return performance.getEntriesByName('first-contentful-paint').length > 0",
                )
                .await;
            let measured = "const [page] = performance.getEntriesByType('navigation'); return [page.transferSize, performance.getEntriesByName('first-contentful-paint')[0].startTime, page.domContentLoadedEventEnd]";
            let figures: Vec<f64> =
                serde_json::from_value(browser.run(measured, &[]).await).expect("figures");
            // Later visits are told that they have it.
            bytes = figures[0].max(bytes);
            paints.push(figures[1]);
            readies.push(figures[2]);
            // From the key to the frame that shows what it finds.
            let typed = "const done = arguments[arguments.length - 1]; const field = document.querySelector('#q'); const began = performance.now(); new MutationObserver((_, observer) => { observer.disconnect(); requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))); }).observe(document.querySelector('main'), { childList: true }); field.value = arguments[0]; field.dispatchEvent(new Event('input', { bubbles: true }));";
            let took = browser
                .client
                .execute_async(typed, vec![json!("model-0012")])
                .await
                .expect("it ran");
            keys.push(took.as_f64().expect("a figure"));
        }
        println!(
            "| {count} | {bytes:.0} | {:.0} ms | {:.0} ms | {:.0} ms |",
            median(&mut paints),
            median(&mut readies),
            median(&mut keys)
        );
        browser.stop(&app.base, &[]).await;
        app.stop().await;
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
