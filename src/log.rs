//! The log, and everything else that the program says on stderr: a bounded queue, and a thread that
//! writes it. Whoever logs never waits and never fails. A stderr that cannot be written, or that
//! nobody reads, costs lines and nothing else; lost lines are counted.

mod human;
#[cfg(test)]
mod tests;
#[cfg(feature = "otlp")]
pub mod traces;

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    panic::PanicHookInfo,
    sync::{Condvar, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, layer::SubscriberExt, util::SubscriberInitExt,
};

use self::human::HumanFields;
pub use self::human::printable;

/// The most that waits to be written, in bytes.
const QUEUE_BYTES: usize = 256 << 10;
/// The pause before a non-blocking stderr that is full is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(20);

static STDERR: Queue = Queue::new(QUEUE_BYTES);

/// What else gets the spans and events of this process.
pub type FurtherLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Human,
    /// A JSON object per line, with all fields.
    Json,
}

impl Format {
    /// The format called `name`; without a name, lines for people on a terminal, and JSON elsewhere. None for
    /// another name.
    pub fn find(name: Option<&str>) -> Option<Self> {
        match name {
            Some("human") => Some(Self::Human),
            Some("json") => Some(Self::Json),
            None if stderr().is_terminal() => Some(Self::Human),
            None => Some(Self::Json),
            Some(_) => None,
        }
    }
}

/// Starts the log of this process on stderr. `directives` choose what is logged, as in `RUST_LOG`.
/// `further` gets everything that the log could show. From then on panics are logged like anything else.
pub fn start(
    directives: &str,
    format: Format,
    further: Option<FurtherLayer>,
) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(directives)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| LogWriter)
        // The writer cannot fail. What cannot be formatted must not be said past it.
        .log_internal_errors(false);
    let lines = match format {
        Format::Human => lines
            .with_ansi(stderr().is_terminal())
            .fmt_fields(HumanFields)
            .boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    match further {
        None => tracing_subscriber::registry()
            .with(lines)
            .with(filter)
            .init(),
        Some(further) => tracing_subscriber::registry()
            .with(lines.with_filter(filter).and_then(further))
            .init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes `line` to stderr, after what was logged before.
pub fn say(line: &str) {
    start_writing();
    STDERR.push(format!("{line}\n").as_bytes());
}

/// Waits until everything is written, `limit` at most.
pub fn flush(limit: Duration) {
    STDERR.flush(limit);
}

/// How many lines could not be written so far.
pub fn lines_lost() -> u64 {
    STDERR.lock().lost
}

/// Logs where a panic happened. A composed message may hold anything, so it is left to those who
/// catch the panic and know which secrets to remove.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map_or_else(String::new, ToString::to_string);
    let message = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(
        "a panic at {place}: {}",
        message.unwrap_or("(a composed message)")
    );
}

fn start_writing() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let writer = || {
            STDERR.write_to(&mut stderr(), |lost| {
                tracing::warn!(lost, "{lost} lines of the log could not be written");
            });
        };
        // Without a thread the queue fills up, and the rest is lost.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(writer);
    });
}

#[expect(clippy::disallowed_methods, reason = "the only user of stderr")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// The end of the queue to which `tracing` writes a line at a time.
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        start_writing();
        STDERR.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that wait for one thread to write them.
struct Queue {
    limit_bytes: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    lines: Vec<u8>,
    /// Whether lines that were taken out are being written.
    is_writing: bool,
    lost: u64,
}

impl Queue {
    const fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            waiting: Mutex::new(Waiting {
                lines: Vec::new(),
                is_writing: false,
                lost: 0,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues whole lines; loses them when there is no room.
    fn push(&self, lines: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + lines.len() > self.limit_bytes {
            waiting.lost += count_lines(lines);
        } else {
            waiting.lines.extend_from_slice(lines);
            self.changed.notify_all();
        }
    }

    /// Writes to `output` for ever. Calls `report` with the number of lines that were lost, once it
    /// has written again.
    fn write_to(&self, output: &mut impl Write, report: impl Fn(u64)) {
        let (mut reported, mut is_torn) = (0, false);
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() {
                waiting = self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            lines.clear();
            std::mem::swap(&mut lines, &mut waiting.lines);
            waiting.is_writing = true;
            drop(waiting);

            // What the end of a torn line takes is not counted as a line.
            let begins_anew = !is_torn || write_all(output, b"\n") == 1;
            let written = if begins_anew {
                write_all(output, &lines)
            } else {
                0
            };
            let (written, unwritten) = lines.split_at(written);
            is_torn = written.last().map_or(!begins_anew, |last| *last != b'\n');

            let mut waiting = self.lock();
            waiting.lost += count_lines(unwritten);
            let lost = waiting.lost;
            drop(waiting);
            if unwritten.is_empty() && lost > reported {
                report(lost - reported);
                reported = lost;
            }
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits until everything is written, `limit` at most.
    fn flush(&self, limit: Duration) {
        let is_unwritten = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        // What is not written by then stays so.
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), limit, is_unwritten);
    }
}

fn count_lines(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Writes `text`; returns how many bytes of it were written.
fn write_all(output: &mut impl Write, text: &[u8]) -> usize {
    let mut written = 0;
    while written < text.len() {
        match output.write(&text[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process has made the pipe non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(_) => break,
        }
    }
    written
}
