//! A future that comes to its end, whether or not whoever waits for it does.
//!
//! In: a future. Out: the same. Where it is dropped halfway, as the request of a client that leaves is, the rest
//! of it runs as a task.
//!
//! A task from the beginning would do the same, and cost each call a hand-over to it and one back.

use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// A future that is run to its end.
pub struct Finished<F: Future<Output: Send> + Send + 'static> {
    /// None while it is polled, so that one that panics is not polled again, and once it has ended.
    rest: Option<Pin<Box<F>>>,
}

impl<F: Future<Output: Send> + Send + 'static> Finished<F> {
    /// Wraps a future, which begins when it is first polled.
    pub fn new(future: F) -> Finished<F> {
        Finished { rest: Some(Box::pin(future)) }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(mut rest) = self.rest.take() else { return Poll::Pending };
        let polled = rest.as_mut().poll(context);
        if polled.is_pending() {
            self.rest = Some(rest);
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Counts how often it was begun, waits, and counts the end.
    async fn work(counts: Arc<[AtomicUsize; 2]>, go_on: oneshot::Receiver<()>) -> usize {
        counts[0].fetch_add(1, Ordering::SeqCst);
        go_on.await.expect("the test sends");
        counts[1].fetch_add(1, Ordering::SeqCst) + 1
    }

    fn counted(counts: &[AtomicUsize; 2]) -> [usize; 2] {
        [0, 1].map(|index| counts[index].load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn what_is_waited_for_runs_where_it_stands() {
        let (counts, (sender, go_on)) = (Arc::default(), oneshot::channel());
        let finished = Finished::new(work(Arc::clone(&counts), go_on));
        sender.send(()).unwrap();
        assert_eq!(finished.await, 1);
        assert_eq!(counted(&counts), [1, 1]);
    }

    #[tokio::test]
    async fn what_is_given_up_is_finished_and_not_begun_again() {
        let (counts, (sender, go_on)) = (Arc::default(), oneshot::channel());
        let finished = Finished::new(work(Arc::clone(&counts), go_on));
        let given_up = tokio::time::timeout(Duration::from_millis(1), finished).await;
        assert!(given_up.is_err());
        assert_eq!(counted(&counts), [1, 0]);
        sender.send(()).unwrap();
        while counted(&counts) != [1, 1] {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_panics_is_not_polled_again() {
        let counts: Arc<[AtomicUsize; 2]> = Arc::default();
        let panics = {
            let counts = Arc::clone(&counts);
            async move {
                counts[0].fetch_add(1, Ordering::SeqCst);
                panic!("a defect");
            }
        };
        let joined = tokio::spawn(Finished::new(panics)).await;
        assert!(joined.unwrap_err().is_panic());
        tokio::task::yield_now().await;
        assert_eq!(counted(&counts), [1, 0]);
    }
}
