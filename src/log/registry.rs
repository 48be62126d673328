//! A client of a schema registry: the schemas that others wrote their values with, and the ids of
//! our own.
//!
//! A thread of its own asks. A partition that comes to a value whose schema is not here stays where
//! it is until the registry has answered; the worker goes on with the others. A registry that
//! cannot be used is asked again, with waits that grow.

mod api;
mod subjects;

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::codec::avro::{Frames, Framing, Key, Writers, frame};
use crate::codec::record::Batches;
use crate::log::chain;
use crate::log::registry::api::Api;
use crate::telemetry::metrics::{Answer, Metrics};

pub use crate::log::registry::api::{Error, Registered, Settings, is_address};
pub use crate::log::registry::subjects::{
    Outcome, Registration, Subject, frames, register, survey,
};

/// First and longest wait until a registry that could not be used is asked for the same schema
/// again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long the registry is believed not to know a schema. Chosen: producers register before they
/// produce.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Schemas that the thread may have to ask for, and whose last answer is remembered.
const QUESTIONS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// Where a schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Here, or refused: reading a value tells.
    Here,
    /// The registry does not know it.
    Unknown,
    /// The registry has not answered yet.
    Waiting,
}

/// What is known of a schema that is not here.
enum Lookup {
    /// The thread asks for it, after so many failures.
    Asked(u32),
    /// The registry did not know it.
    Unknown(Instant),
    /// The registry could not be used so many times; when it is asked again.
    Failed(u32, Instant),
}

struct State {
    writers: Writers,
    others: LruCache<Key, Lookup>,
    /// Why the registry could not be used when it was last asked.
    failure: Option<String>,
}

struct Shared {
    state: Mutex<State>,
    answered: Condvar,
    metrics: Arc<Metrics>,
}

/// A registry and what it has answered so far; dropping it ends its thread.
pub struct Registry {
    shared: Arc<Shared>,
    asked: mpsc::Sender<Key>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Starts the thread; nothing is asked yet.
    #[must_use]
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let state = State {
            writers: Writers::of_at_most(settings.cached_ids),
            others: LruCache::new(QUESTIONS_MAX),
            failure: None,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), answered: Condvar::new(), metrics });
        let (asked, questions) = mpsc::channel(QUESTIONS_MAX.get());
        let (stop, stopped) = oneshot::channel();
        let (learning, settings) = (shared.clone(), settings.clone());
        let thread = std::thread::spawn(move || {
            if let Err(error) = serve(&settings, &learning, questions, stopped) {
                tracing::error!(
                    error = chain(&error),
                    "no schema can be asked for: partitions that need one wait"
                );
            }
        });
        Self { shared, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// Looks for a schema, and has the registry asked for it where that is due.
    #[must_use]
    pub fn find(&self, key: Key) -> Found {
        self.look(key).1
    }

    /// The same, with what is known at this moment.
    fn look(&self, key: Key) -> (MutexGuard<'_, State>, Found) {
        let mut state = self.shared.lock();
        if let Some(found) = state.look(key) {
            return (state, found);
        }
        let failures = if let Some(Lookup::Failed(failures, _)) = state.others.peek(&key) {
            *failures
        } else {
            0
        };
        if self.asked.try_send(key).is_ok() {
            state.others.put(key, Lookup::Asked(failures));
        }
        (state, Found::Waiting)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the registry's thread panicked");
        }
    }
}

impl State {
    /// `None`: it has to be asked for.
    fn look(&mut self, key: Key) -> Option<Found> {
        if self.writers.touch(key) {
            return Some(Found::Here);
        }
        let now = Instant::now();
        match self.others.get(&key)? {
            Lookup::Asked(_) => Some(Found::Waiting),
            Lookup::Unknown(since) => (now - *since < UNKNOWN).then_some(Found::Unknown),
            Lookup::Failed(_, again) => (now < *again).then_some(Found::Waiting),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer and wakes who waits for it.
    fn learn(&self, key: Key, answer: Result<Option<String>, Error>) {
        let mut state = self.lock();
        let failures =
            if let Some(Lookup::Asked(failures)) = state.others.pop(&key) { failures } else { 0 };
        let (kind, failure) = match answer {
            Ok(Some(text)) => {
                if let Err(error) = state.writers.add(key, &text) {
                    tracing::warn!(id = %key, %error, "the registry's schema cannot be used");
                }
                (Answer::Known, None)
            }
            // Asking again would not help: its values are dead letters, as those of any other
            // schema that cannot be taken.
            Err(error @ Error::TooLong) => {
                state.writers.refuse(key, &error.to_string());
                (Answer::Known, None)
            }
            Ok(None) => {
                state.others.put(key, Lookup::Unknown(Instant::now()));
                (Answer::Unknown, None)
            }
            Err(error) => {
                let wait = (RETRY.0 * 2_u32.saturating_pow(failures.min(16))).min(RETRY.1);
                state.others.put(key, Lookup::Failed(failures + 1, Instant::now() + wait));
                (Answer::Unreachable, Some(chain(&error)))
            }
        };
        match (&state.failure, &failure) {
            (None, Some(error)) => tracing::warn!(
                error,
                "the schema registry cannot be used: partitions that need it wait"
            ),
            (Some(_), None) => tracing::info!("the schema registry can be used again"),
            _ => {}
        }
        state.failure = failure;
        drop(state);
        self.metrics.registry_answered(kind);
        self.answered.notify_all();
    }
}

/// What a worker knows of schemas: where those of others are found, and how its own values are
/// framed.
#[derive(Clone, Default)]
pub struct Schemas {
    registry: Option<Arc<Registry>>,
    frames: Frames,
}

impl Schemas {
    /// Those of a registry; `None`: the compiled-in ones alone.
    #[must_use]
    pub fn new(registry: Option<Arc<Registry>>) -> Self {
        Self { registry, frames: Frames::default() }
    }

    /// The same, with ids for own values.
    #[must_use]
    pub fn framed(self, frames: Frames) -> Self {
        Self { frames, ..self }
    }

    /// Reads a value with the schemas that are here.
    ///
    /// # Errors
    /// The schema that has to be waited for.
    pub fn read<T>(&self, value: &[u8], read: impl FnOnce(&Writers) -> T) -> Result<T, Key> {
        let (Some(registry), Some(key)) = (&self.registry, named(value)) else {
            return Ok(read(&Writers::new()));
        };
        let writers = {
            let (state, found) = registry.look(key);
            if found == Found::Waiting {
                return Err(key);
            }
            state.writers.only(key)
        };
        // Decoding holds no lock: workers and readers decode side by side.
        Ok(read(&writers))
    }

    /// The same, where there is time to wait for the schema.
    ///
    /// # Errors
    /// [`Error::Silent`].
    pub fn read_within<T>(
        &self,
        patience: Duration,
        value: &[u8],
        mut read: impl FnMut(&Writers) -> T,
    ) -> Result<T, Error> {
        let until = Instant::now() + patience;
        loop {
            match (self.read(value, &mut read), &self.registry) {
                (Ok(read), _) => return Ok(read),
                (Err(_), Some(registry)) if Instant::now() < until => {
                    drop(registry.shared.answered.wait_timeout(registry.shared.lock(), RETRY.0));
                }
                (Err(_), registry) => {
                    let failure = registry
                        .as_ref()
                        .and_then(|registry| registry.shared.lock().failure.clone());
                    return Err(Error::Silent(
                        failure.unwrap_or_else(|| format!("no answer within {patience:?}")),
                    ));
                }
            }
        }
    }

    /// Whether a schema has to be waited for.
    #[must_use]
    pub fn is_missing(&self, key: Key) -> bool {
        self.registry.as_ref().is_some_and(|registry| registry.find(key) == Found::Waiting)
    }

    /// Frames own values as their readers expect them.
    pub fn frame(&self, batches: &mut Batches) {
        for ((topic, _), records) in batches.iter_mut() {
            for value in records.iter_mut().filter_map(|record| record.value.as_mut()) {
                self.frames.put(topic, value);
            }
        }
    }
}

/// Asks one question after the other until told to stop.
fn serve(
    settings: &Settings,
    shared: &Shared,
    mut questions: mpsc::Receiver<Key>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let (api, runtime) = (Api::new(settings)?, runtime()?);
    let asking = async {
        while let Some(key) = questions.recv().await {
            shared.learn(key, api.schema(key).await);
        }
    };
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            () = asking => {}
        }
    });
    // A look-up of the host's name that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

/// The registry's schema that a value names.
fn named(value: &[u8]) -> Option<Key> {
    let framing = frame(value).ok()?;
    matches!(framing, Framing::Id(..) | Framing::Guid(..)).then(|| framing.key())
}

/// A runtime for the thread that calls.
fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::Client(cause.into()))
}
