//! What is written, lost and said, with an output that the tests hold.

use std::sync::{Arc, mpsc};

use super::*;

/// Writes each piece that the test sends for: all of it, a part, or nothing.
struct Output {
    allowed: mpsc::Receiver<io::Result<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Output {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // Blocks as a full pipe does. Without a test that writes go on, it ends the thread.
        let allowed = self.allowed.recv().expect("the test goes on")?;
        let count = allowed.min(text.len());
        self.written
            .lock()
            .expect("no panic")
            .extend(&text[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Setup {
    queue: Arc<Queue>,
    allow: mpsc::Sender<io::Result<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
    reports: mpsc::Receiver<u64>,
}

fn start(limit_bytes: usize) -> Setup {
    let queue = Arc::new(Queue::new(limit_bytes));
    let (allow, allowed) = mpsc::channel();
    let (reported, reports) = mpsc::channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut output = Output {
        allowed,
        written: written.clone(),
    };
    let writing = queue.clone();
    thread::spawn(move || {
        writing.write_to(&mut output, |lost| {
            // The test may have ended.
            let _ = reported.send(lost);
        })
    });
    Setup {
        queue,
        allow,
        written,
        reports,
    }
}

impl Setup {
    fn wait(&self, condition: impl Fn(&Waiting) -> bool) {
        let waiting = self.queue.lock();
        let (_waiting, timeout) = self
            .queue
            .changed
            .wait_timeout_while(waiting, Duration::from_secs(10), |waiting| {
                !condition(waiting)
            })
            .expect("no panic");
        assert!(!timeout.timed_out());
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().expect("no panic").clone()).expect("text")
    }
}

/// What a log of the test's own wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_is_logged_without_what_it_is_composed_of() {
    // The hook is the whole process's: other tests keep theirs.
    let (usual, thread) = (std::panic::take_hook(), thread::current().id());
    std::panic::set_hook(Box::new(move |panic| {
        match thread::current().id() == thread {
            true => log_panic(panic),
            false => usual(panic),
        }
    }));
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.with_ansi(false).finish(), || {
        for key in ["", "s3cret"] {
            let panics = || match key {
                "" => panic!("on purpose"),
                key => panic!("with {key}"),
            };
            std::panic::catch_unwind(panics).expect_err("it panics");
        }
    });
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].contains("a panic at src/log/tests.rs:") && lines[0].ends_with(": on purpose")
    );
    assert!(lines[1].contains("a panic at src/log/tests.rs:") && !lines[1].contains("s3cret"));
}

#[test]
fn a_writer_that_blocks_costs_lines_beyond_the_limit_only() {
    let setup = start(8);
    setup.queue.push(b"one\n");
    while !setup.queue.lock().is_writing {
        thread::yield_now();
    }
    for line in [b"two\n", b"333\n", b"444\n", b"555\n"] {
        setup.queue.push(line);
    }
    assert_eq!(setup.queue.lock().lost, 2);
    let began = std::time::Instant::now();
    setup.queue.flush(Duration::from_millis(50));
    assert!(began.elapsed() < Duration::from_secs(5), "it gives up");
    for _ in 0..2 {
        setup.allow.send(Ok(100)).expect("it writes");
    }
    setup.queue.flush(Duration::from_secs(10));
    assert_eq!(setup.text(), "one\ntwo\n333\n");
    let report = setup.reports.recv_timeout(Duration::from_secs(10));
    assert_eq!(report, Ok(2));
}

#[test]
fn a_writer_that_fails_costs_what_it_did_not_write_and_goes_on() {
    let setup = start(100);
    setup.allow.send(Ok(2)).expect("it writes");
    setup
        .allow
        .send(Err(ErrorKind::Interrupted.into()))
        .expect("it writes");
    setup
        .allow
        .send(Err(ErrorKind::WouldBlock.into()))
        .expect("it writes");
    setup
        .allow
        .send(Err(ErrorKind::StorageFull.into()))
        .expect("it writes");
    setup.queue.push(b"one\ntwo\n");
    setup.wait(|waiting| waiting.lost == 2);
    assert!(setup.reports.try_recv().is_err(), "it cannot write yet");
    // The end of the torn line, and the next one.
    for _ in 0..2 {
        setup.allow.send(Ok(100)).expect("it writes");
    }
    setup.queue.push(b"three\n");
    assert_eq!(setup.reports.recv_timeout(Duration::from_secs(10)), Ok(2));
    assert_eq!(setup.text(), "on\nthree\n", "a torn line is ended first");
    assert_eq!(setup.queue.lock().lost, 2);
}
