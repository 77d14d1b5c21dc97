//! Supervises the background tasks. One that panics, hangs or ends is restarted after a pause,
//! counted, and logged with the reason.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use secrecy::SecretString;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::health::{Health, TaskName};
use crate::{
    config::OnStep,
    metrics::Metrics,
    model::time::Clock,
    provider::redaction::{one_line, redact},
};

/// The pause before the first restart in a row; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, shorter than a request for a refresh waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs the tasks of a catalog.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// Stops every task.
    pub stop: CancellationToken,
    /// Tracks every task, and jobs that end by themselves.
    pub tasks: TaskTracker,
    /// How the tasks are doing.
    pub health: Arc<Health>,
    metrics: Metrics,
    clock: Clock,
    on_step: OnStep,
}

/// A step of a task that took longer than its limit.
#[derive(Debug)]
pub struct TookTooLong(Duration);

/// A task's end of its supervision.
#[derive(Clone, Debug)]
pub struct Supervised {
    /// Cancelled when the task is to end.
    pub stop: CancellationToken,
    name: TaskName,
    on_step: OnStep,
}

/// A running task.
#[derive(Debug)]
pub struct TaskHandle {
    /// Cancelled when the task is to end.
    pub stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl TaskHandle {
    /// Ends the task, and waits until it has.
    pub async fn end(self) {
        self.stop.cancel();
        // Only a runtime that shuts down ends it otherwise.
        let _ = self.ended.await;
    }
}

impl Supervised {
    /// Runs one step of the task, for `limit` at most.
    pub async fn step<T>(
        &self,
        limit: Duration,
        step: impl Future<Output = T>,
    ) -> Result<T, TookTooLong> {
        self.on_step.call(&self.name);
        timeout(limit, step).await.map_err(|_| TookTooLong(limit))
    }
}

impl Supervisor {
    /// A supervisor that counts restarts in `metrics`.
    pub fn new(metrics: Metrics, clock: Clock, on_step: OnStep) -> Self {
        Self {
            metrics,
            clock,
            on_step,
            ..Self::default()
        }
    }

    /// Starts the task `name`, which `run` makes anew for each restart. It runs until the catalog
    /// stops or the task is ended. Its `secrets` are removed from what is said of it.
    pub fn start<F>(
        &self,
        name: TaskName,
        secrets: Vec<SecretString>,
        run: impl Fn(Supervised) -> F + Send + 'static,
    ) -> TaskHandle
    where
        F: Future<Output = Result<(), TookTooLong>> + Send,
    {
        let (stop, health) = (self.stop.child_token(), self.health.clone());
        let (metrics, clock) = (self.metrics.clone(), self.clock.clone());
        let supervised = Supervised {
            stop: stop.clone(),
            name: name.clone(),
            on_step: self.on_step.clone(),
        };
        health.record_start(&name);
        let token = stop.clone();
        let ended = self.tasks.spawn(async move {
            loop {
                let began = Instant::now();
                // What the task leaves behind is made anew, or valid after every statement.
                let task = AssertUnwindSafe(run(supervised.clone()));
                let ended = task.catch_unwind().await;
                if stop.is_cancelled() {
                    break;
                }
                let why = match ended {
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(TookTooLong(limit))) => {
                        format!("a step took longer than {} s", limit.as_secs())
                    }
                    Err(panic) => format!("it panicked: {}", message(&*panic)),
                };
                let why = secrets.iter().fold(why, |why, secret| redact(&why, secret));
                let why = one_line(&why);
                let now = (Instant::now(), clock.now());
                let restarts = health.record_restart(&name, why.clone(), began, now);
                metrics.count_restart(&name.to_string());
                let pause = (FIRST_PAUSE * (1 << (restarts - 1).min(10))).min(LONGEST_PAUSE);
                let seconds = pause.as_secs();
                tracing::error!(task = %name, restarts, "the task {name} is restarted in {seconds} s, because {why}: please report this");
                if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                    break;
                }
            }
            health.forget(&name);
        });
        TaskHandle { stop: token, ended }
    }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn what_panics_hangs_or_ends_is_restarted_and_said() {
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let began = Instant::now();
        let source: TaskName = TaskName::Source("acme".parse().expect("a name"));
        let secret = SecretString::from("s3cret-of-a-test-0123");
        supervisor.start(source.clone(), vec![secret], move |supervised| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match run {
                    0 => panic!("with s3cret-of-a-test-0123\nin it {run}"),
                    1 => Ok(()),
                    _ => {
                        let step = supervised.step(LIMIT, std::future::pending());
                        step.await
                    }
                }
            }
        });
        let name = "acme".parse().expect("a name");
        for (count, expected) in [
            (1, "it panicked: with [key] in it 0"),
            (2, "it ended"),
            (3, "a step took longer than 1 s"),
        ] {
            let restarts = loop {
                match supervisor.health.of_source(&name) {
                    Some(restarts) if restarts.count == count => break restarts,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            };
            assert_eq!(restarts.message.as_deref(), Some(expected));
        }
        let least = FIRST_PAUSE + 2 * FIRST_PAUSE + LIMIT;
        assert!(began.elapsed() >= least, "each pause is twice the last one");
        let text = supervisor.metrics.encode(crate::metrics::Gauges::default());
        let text = text.expect("encoded");
        let line = r#"model_catalog_task_restarts_total{task="source:acme"} 3"#;
        assert!(text.contains(line), "{text}");

        supervisor.stop.cancel();
        supervisor.tasks.close();
        supervisor.tasks.wait().await;
        assert_eq!(runs.load(Ordering::SeqCst), 3, "a stop ends the pause");
    }
}
