//! What every request shares: the databases, the limits, the counts, and how the engine is called.
//!
//! In: closures that call the engine. Out: their answers.
//!
//! Invariants:
//! * What may block or take long is not called on a thread that serves connections, but for reads that are
//!   sure not to wait and for short writes, whose tasks wait for the sync and whose threads do not. Other calls
//!   run on a thread of the blocking pool, of which there are as many as connections.
//! * A write that has begun is waited for, however long it takes: an answer that it may not have happened
//!   would be wrong. A read that takes too long is given up; it keeps its place among the calls until it
//!   ends, so that what was given up cannot pile up.
//! * What reads the log for feeds leaves half of the cores to everybody else: a hundred that catch up would take all.

use crate::auth::OriginGuard;
use crate::config::Config;
use crate::databases::Databases;
use crate::finished::Finished;
use crate::metrics::Metrics;
use crate::refusal::{Code, Refusal, Result};
use crate::trouble::Troubles;
use nedb_core::Cancellation;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

/// What every request shares.
pub struct Server {
    pub config: Config,
    pub databases: Databases,
    pub metrics: Metrics,
    pub troubles: Troubles,
    pub origins: OriginGuard,
    /// True once the server is to stop.
    pub stop: watch::Sender<bool>,
    /// The places of calls to the engine.
    calls: Arc<Semaphore>,
    /// The places of queries that take a while: more of them at a time than there are processors would only take
    /// memory, and time from one another.
    queries: Arc<Semaphore>,
    queries_count_max: usize,
    /// The places of files on their way in and out.
    files: Arc<Semaphore>,
    /// The places of long answers on their way out, one for each KiB.
    answers: Arc<Semaphore>,
    /// The turns of those who read the log for feeds: each who waits has one after the others.
    feeds: Arc<Semaphore>,
}

/// The places of the bytes of a long answer.
pub type AnswerPlaces = OwnedSemaphorePermit;

/// How many answers of the greatest length may be on their way out at a time.
const LONG_ANSWERS_COUNT_MAX: usize = 8;
/// Answers that are longer have places.
const LONG_ANSWER_BYTES: usize = 64 << 10;
/// How long an answer waits for its places, in the place of a query.
const ANSWER_WAIT: Duration = Duration::from_millis(200);
/// How long queries go on after a stop: most have ended by then.
const STOP_GRACE: Duration = Duration::from_millis(20);
/// By how much the priority of a query's thread is lower.
#[cfg(target_os = "linux")]
const QUERY_NICENESS: i32 = 5;
/// How long after its time a query that does not end is waited for.
const END_GRACE: Duration = Duration::from_secs(1);

/// Cancels when it is dropped: what runs for a request ends with it.
struct EndsWithRequest(Cancellation);

impl Drop for EndsWithRequest {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A place among the files on their way in and out.
pub type FilePlace = OwnedSemaphorePermit;

/// A place among the queries that take a while.
pub type QueryPlace = Arc<OwnedSemaphorePermit>;

/// The server as handlers have it.
pub type Shared = Arc<Server>;

impl Server {
    pub fn new(config: Config, databases: Databases, origins: OriginGuard) -> Server {
        let calls = Arc::new(Semaphore::new(config.limits.connections_count_max));
        let files = Arc::new(Semaphore::new(config.limits.files_count_max));
        let feeds = Arc::new(Semaphore::new(feed_turns_count()));
        let answers_bytes = config.limits.answer_bytes_max.saturating_mul(LONG_ANSWERS_COUNT_MAX);
        let answers = Arc::new(Semaphore::new((answers_bytes >> 10).min(Semaphore::MAX_PERMITS)));
        let processors_count = std::thread::available_parallelism().map_or(2, usize::from);
        let queries_count_max = 2 * processors_count;
        let queries = Arc::new(Semaphore::new(queries_count_max));
        let (metrics, stop) = (Metrics::default(), watch::Sender::new(false));
        let troubles = Troubles::default();
        Server {
            config,
            databases,
            metrics,
            troubles,
            origins,
            stop,
            calls,
            queries,
            queries_count_max,
            files,
            answers,
            feeds,
        }
    }

    /// Runs a call that reads, for as long as a request may take.
    ///
    /// Errors: `REQUEST_TIMEOUT`, `TOO_MANY_REQUESTS`, and what the call says.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let timeout = self.config.limits.request_timeout;
        match tokio::time::timeout(timeout, self.begin(work)?).await {
            Ok(joined) => joined.map_err(defect)?,
            Err(_) => Err(timed_out("the read took", timeout)),
        }
    }

    /// Runs a query, which is told to end once its time is over, its client leaves, or the server stops.
    ///
    /// The place among the queries goes with the answer, so that it can be held until there is room for that.
    ///
    /// Errors: `REQUEST_TIMEOUT`, `TOO_MANY_REQUESTS`, `NOT_READY` at a stop, and what the query says.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(Cancellation) -> Result<T> + Send + 'static,
    ) -> Result<(T, QueryPlace)> {
        let timeout = self.config.limits.request_timeout;
        let begun = Instant::now();
        let places = Arc::clone(&self.queries).acquire_owned();
        let place = match tokio::time::timeout(timeout, places).await {
            Ok(Ok(place)) => Arc::new(place),
            _ => return Err(none_left("queries")),
        };
        let left = timeout.saturating_sub(begun.elapsed());
        let cancellation =
            Cancellation::after_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let ends_with_request = EndsWithRequest(cancellation.clone());
        let place_of_query = Arc::clone(&place);
        let call_place = self.call_place()?;
        let mut running = begin_query(move || {
            let _held_until_the_end = (place_of_query, call_place);
            query(cancellation)
        })?;
        let mut stop = self.stop.subscribe();
        let stopping = async {
            // A server that is gone has stopped.
            drop(stop.wait_for(|stops| *stops).await);
            tokio::time::sleep(STOP_GRACE).await;
        };
        let joined = tokio::select! {
            joined = &mut running => joined,
            () = stopping => {
                ends_with_request.0.cancel();
                running.await
            }
            () = tokio::time::sleep(left + END_GRACE) => return Err(timed_out("the query took", timeout)),
        };
        match joined.unwrap_or_else(|_| Err(Refusal::defect())) {
            Err(refusal) if refusal.code == Code::RequestTimeout => {
                Err(timed_out("the query took", timeout))
            }
            answer => answer.map(|answer| (answer, place)),
        }
    }

    /// Returns how many queries are under way that take a while.
    pub fn queries_count(&self) -> usize {
        self.queries_count_max - self.queries.available_permits()
    }

    /// Takes the places of an answer on its way out, and waits for them for a moment; a short answer needs none.
    ///
    /// Whoever waits has a place among the queries meanwhile, and clients that do not read must not keep those.
    ///
    /// Errors: `TOO_MANY_REQUESTS` while clients do not read what they asked for.
    pub async fn answer_places(&self, bytes_count: usize) -> Result<Option<AnswerPlaces>> {
        if bytes_count <= LONG_ANSWER_BYTES {
            return Ok(None);
        }
        let longest =
            self.config.limits.answer_bytes_max.saturating_mul(LONG_ANSWERS_COUNT_MAX) >> 10;
        let count = u32::try_from((bytes_count >> 10).min(longest)).unwrap_or(u32::MAX);
        let places = Arc::clone(&self.answers).acquire_many_owned(count);
        match tokio::time::timeout(ANSWER_WAIT, places).await {
            Ok(Ok(places)) => Ok(Some(places)),
            _ => Err(none_left("long answers")),
        }
    }

    /// Runs a call that writes, or that may take long by its nature, to its end.
    ///
    /// Errors: `TOO_MANY_REQUESTS`, and what the call says.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.begin(work)?.await.map_err(defect)?
    }

    /// Runs a write to its end: where it stands when it `is_short`, since handing it to another thread costs more
    /// than admitting it does.
    ///
    /// Errors: `TOO_MANY_REQUESTS`, and what the write says.
    pub async fn write<T: Send + 'static>(
        &self,
        is_short: bool,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if !is_short {
            let runtime = Handle::current();
            return self.run(move || runtime.block_on(write)).await;
        }
        let place = self.call_place()?;
        // A client that leaves takes the request with it, and not the write.
        Finished::new(async move {
            let _held_until_the_end = place;
            write.await
        })
        .await
    }

    /// Runs one of many calls for one request to its end, and waits for a place for it: what has begun is not
    /// refused in its middle.
    ///
    /// Errors: what the call says.
    pub async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place =
            Arc::clone(&self.calls).acquire_owned().await.map_err(|_| none_left("calls"))?;
        spawn(place, work).await.map_err(defect)?
    }

    /// Runs one short step of a feed, when it is its turn.
    ///
    /// Errors: what the step says.
    pub async fn feed_step<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.feeds).acquire_owned().await.map_err(|_| none_left("feeds"))?;
        let work = move || {
            let _held_until_the_end = turn;
            work()
        };
        self.step(work).await
    }

    /// Takes a place among the files on their way in and out, and waits for one for as long as a request may
    /// take.
    ///
    /// Errors: `TOO_MANY_REQUESTS`.
    pub async fn file_place(&self) -> Result<FilePlace> {
        let places = Arc::clone(&self.files).acquire_owned();
        match tokio::time::timeout(self.config.limits.request_timeout, places).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(none_left("files")),
        }
    }

    /// Waits until no call is running, for some time at most; tells whether it came to that.
    pub async fn wait_for_calls(&self, timeout: Duration) -> bool {
        let count = u32::try_from(self.config.limits.connections_count_max).unwrap_or(u32::MAX);
        tokio::time::timeout(timeout, self.calls.acquire_many(count)).await.is_ok()
    }

    /// Returns where backups go.
    pub fn backups(&self) -> PathBuf {
        self.config.backups.clone().unwrap_or_else(|| self.config.data.join(".backups"))
    }

    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        Ok(spawn(self.call_place()?, work))
    }

    fn call_place(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.calls).try_acquire_owned().map_err(|_| none_left("calls"))
    }
}

fn spawn<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    tokio::task::spawn_blocking(move || {
        let _held_until_the_end = place;
        work()
    })
}

/// Runs a query on a thread of its own, which gives way to those that serve others.
///
/// A thread costs some tens of microseconds, and a query that comes here far more. One of the pool would keep the
/// priority that it was given, and the memory.
fn begin_query<T: Send + 'static>(
    query: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T>>> {
    let (tell, told) = oneshot::channel();
    let work = move || {
        give_way();
        // Whoever has left is told nothing.
        let _told_or_not = tell.send(query());
    };
    let begun = std::thread::Builder::new().name("nedbd-query".to_owned()).spawn(work);
    begun.map_err(|_| none_left("threads"))?;
    Ok(told)
}

/// Lowers the priority of this thread: a put or a get that is woken takes the processor from it at once.
#[cfg(target_os = "linux")]
fn give_way() {
    let thread = rustix::thread::gettid();
    // A system that does not allow it serves as well, and a little later.
    let _lowered_or_not = rustix::process::setpriority_process(Some(thread), QUERY_NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// How many read the log for feeds at a time.
fn feed_turns_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

fn none_left(what: &str) -> Refusal {
    let message = format!("as many {what} are under way as there may be; ask again in a moment");
    Refusal::new(Code::TooManyRequests, message)
}

/// Makes the refusal of what took longer than it may.
pub fn timed_out(what: &str, timeout: Duration) -> Refusal {
    let message = format!("{what} longer than {} ms", timeout.as_millis());
    Refusal::new(Code::RequestTimeout, message)
}

fn defect(_panic: tokio::task::JoinError) -> Refusal {
    Refusal::defect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use nedb_core::Options;

    fn server(root: &std::path::Path) -> Server {
        let limits = Limits {
            connections_count_max: 2,
            request_timeout: Duration::from_millis(50),
            ..Limits::default()
        };
        let config = Config { data: root.to_owned(), limits, ..Config::default() };
        let databases = Databases::find(root, Options::default()).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        Server::new(config, databases, OriginGuard::new(vec![], false, &address))
    }

    #[tokio::test]
    async fn a_slow_read_is_given_up_and_keeps_its_place_until_it_ends() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (other_end, other_ended) = std::sync::mpsc::channel::<()>();
        for ended in [ended, other_ended] {
            let slow = server.read(move || Ok(ended.recv().is_ok())).await;
            assert_eq!(slow.unwrap_err().code, Code::RequestTimeout);
        }
        assert_eq!(server.read(|| Ok(1)).await.unwrap_err().code, Code::TooManyRequests);
        assert!(!server.wait_for_calls(Duration::from_millis(10)).await);
        drop((end, other_end));
        assert!(server.wait_for_calls(Duration::from_secs(10)).await);
        assert_eq!(server.read(|| Ok(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_write_is_waited_for_and_a_panic_is_an_answer() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let slow = server.run(|| {
            std::thread::sleep(Duration::from_millis(120));
            Ok("written")
        });
        assert_eq!(slow.await.unwrap(), "written");
        let broken = server.run::<()>(|| panic!("on purpose")).await;
        assert_eq!(broken.unwrap_err().code, Code::Internal);
        assert!(server.wait_for_calls(Duration::from_secs(10)).await);
    }
}
