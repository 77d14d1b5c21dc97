//! The costly work of requests: off the serving threads, a few at a time, and with a bound on the
//! finished answers that clients have yet to read. Whatever is asked, `GET /v1/models` and the health
//! checks have the serving threads for themselves.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};
use tracing::Instrument;

/// How long work waits for its turn.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// The most work at a time, however many processors there are: each may take 100 MB for a moment.
const MAX_SLOTS: usize = 4;
/// The memory of answers that clients have yet to read, in KiB.
const MAX_UNREAD_KIB: u32 = 128 << 10;
/// The smallest answer that counts, in bytes: smaller ones are bounded by the number of connections.
const MIN_COUNTED_BYTES: usize = 64 << 10;

/// Where costly work is done.
#[derive(Debug)]
pub struct CostlyWork {
    slots: Arc<Semaphore>,
    unread: Arc<Semaphore>,
}

/// Too much is asked at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Default for CostlyWork {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(processors.clamp(2, MAX_SLOTS))),
            unread: Arc::new(Semaphore::new(MAX_UNREAD_KIB as usize)),
        }
    }
}

impl CostlyWork {
    /// Runs `work` on a thread that serves nobody else, as soon as its turn comes. A caller that goes
    /// gives up its turn. Work that has begun runs to its end, since no statement of SQL can be
    /// stopped halfway: keep it short, and divide long work into pieces.
    pub async fn run<T>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Busy>
    where
        T: Send + 'static,
    {
        let turn = timeout(MAX_WAIT, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = turn else {
            return Err(Busy);
        };
        Ok(in_slot(slot, work).await)
    }

    /// The same for optional work: it is done now or not at all, and never ahead of work that waits.
    pub async fn run_if_idle<T>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Busy>
    where
        T: Send + 'static,
    {
        let slot = self.slots.clone().try_acquire_owned();
        Ok(in_slot(slot.map_err(|_| Busy)?, work).await)
    }

    /// `answer`, counted as unread until its last copy is dropped. Fails when clients have too much to
    /// read already.
    pub fn count_unread(&self, answer: Bytes) -> Result<Bytes, Busy> {
        if answer.len() < MIN_COUNTED_BYTES {
            return Ok(answer);
        }
        let kib = u32::try_from(answer.len() >> 10).unwrap_or(u32::MAX);
        // An answer above the whole bound is sent when it is the only one.
        let permit = self
            .unread
            .clone()
            .try_acquire_many_owned(kib.min(MAX_UNREAD_KIB));
        let room = Room(permit.map_err(|_| Busy)?);
        Ok(room.fill(answer))
    }

    /// Room for an answer of about `kib`, as soon as clients have read enough of others.
    pub async fn room(&self, kib: u32) -> Result<Room, Busy> {
        let room = timeout(MAX_WAIT, self.unread.clone().acquire_many_owned(kib)).await;
        match room {
            Ok(Ok(permit)) => Ok(Room(permit)),
            _ => Err(Busy),
        }
    }
}

/// Runs `work` on a thread that serves nobody else, and then frees `slot`.
async fn in_slot<T: Send + 'static>(
    slot: OwnedSemaphorePermit,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let (work, runtime) = (work.in_current_span(), Handle::current());
    let done = spawn_blocking(move || {
        let result = runtime.block_on(work);
        drop(slot);
        result
    });
    match done.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // Panic as a direct call would have.
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels the task; then no caller needs the answer.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A share of the memory of unread answers.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit);

impl Room {
    /// `answer`, which takes this room until its last copy is dropped.
    pub fn fill(self, answer: Bytes) -> Bytes {
        Bytes::from_owner(Unread {
            answer,
            _room: self,
        })
    }
}

struct Unread {
    answer: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_few_at_a_time_and_those_who_go_leave_no_work() {
        let costly = Arc::new(CostlyWork::default());
        let slots = costly.slots.available_permits();
        let (mut ends, mut running) = (Vec::new(), Vec::new());
        for _ in 0..slots {
            let (begin, begun) = oneshot::channel();
            let (end, ended) = oneshot::channel::<()>();
            let costly = costly.clone();
            running.push(tokio::spawn(async move {
                let work = async {
                    let _ = begin.send(());
                    let _ = ended.await;
                };
                costly.run(work).await
            }));
            begun.await.expect("it begins");
            ends.push(end);
        }
        let (sender, mut receiver) = oneshot::channel();
        let work = async move { sender.send(()) };
        let gone = timeout(Duration::from_millis(20), costly.run(work)).await;
        assert!(gone.is_err(), "it waits for its turn");
        drop(ends);
        for running in running {
            assert_eq!(running.await.expect("no panic"), Ok(()));
        }
        assert_eq!(costly.run(async { 7 }).await, Ok(7));
        assert!(
            receiver.try_recv().is_err(),
            "the one who went was not served"
        );
        // Those who go while their work runs leave their slot to it alone.
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let work = async {
            let _ = begin.send(());
            let _ = ended.await;
        };
        let goes = {
            let costly = costly.clone();
            tokio::spawn(async move { costly.run(work).await })
        };
        begun.await.expect("it begins");
        goes.abort();
        assert!(goes.await.is_err());
        assert_eq!(costly.slots.available_permits(), slots - 1);
        drop(end);
        let all = u32::try_from(slots).expect("few");
        let all = costly.slots.acquire_many(all).await;
        assert!(all.is_ok(), "the slot is free again");
    }

    #[test]
    fn unread_answers_are_bounded() {
        let costly = CostlyWork::default();
        let answer = || Bytes::from(vec![0; 50 << 20]);
        let first = costly.count_unread(answer()).expect("room");
        let second = costly.count_unread(answer()).expect("room");
        assert_eq!(costly.count_unread(answer()), Err(Busy));
        let small = Bytes::from_static(b"small");
        assert_eq!(costly.count_unread(small.clone()), Ok(small));
        let copy = second.clone();
        drop(second);
        assert_eq!(costly.count_unread(answer()), Err(Busy), "a copy is left");
        drop(copy);
        assert_eq!(costly.count_unread(answer()).expect("room"), answer());
        drop(first);
        let huge = Bytes::from(vec![0; 200 << 20]);
        assert_eq!(costly.count_unread(huge.clone()).expect("alone"), huge);
    }
}
