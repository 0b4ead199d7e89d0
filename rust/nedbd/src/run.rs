//! The life of a server: listen, open, serve, stop.
//!
//! Invariants:
//! * It listens before the databases are open, so that whoever waits for it can ask how far it is.
//! * A stop accepts nothing more, finishes what is in flight, closes every database, and then ends; a second
//!   signal ends at once.

use crate::auth::{OriginGuard, is_loopback};
use crate::chores;
use crate::clock::clock;
use crate::config::Config;
use crate::connections::{self, Ended};
use crate::databases::Databases;
use crate::http::router;
use crate::logs::OPERATION;
use crate::server::{Server, Shared};
use crate::tls::Tls;
use nedb_core::Options;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a stop ends with that its limit cut short: some requests got no answer, and nothing that was answered is lost.
const CUT_SHORT: u8 = 3;
/// What a second signal ends with: as a shell says that a signal ended a program.
const INTERRUPTED: i32 = 130;

/// Runs a server until it is told to stop. The error is a sentence for the person at the keyboard.
pub fn run(config: Config) -> Result<ExitCode, String> {
    // A thread for each call that may wait, and a few for the chores.
    let blocking_count = config.limits.connections_count_max + 8;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(blocking_count)
        .build()
        .map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<ExitCode, String> {
    let tls = Tls::open(config.tls_cert.as_deref(), config.tls_key.as_deref())?;
    let listener = listen(&config).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    check_exposure(&config, &address)?;
    let options = Options {
        clock: clock(config.test_clock.clone()),
        read_only: config.read_only,
        cache_bytes: config.cache_bytes,
        durability: config.durability,
        checkpoint_every_ops: config.checkpoint_every_ops,
        tmk: config.tmk.clone(),
        encrypt_existing: config.encrypt_existing,
        ..Options::default()
    };
    let databases = Databases::find(&config.data, options)
        .map_err(|error| format!("{}: {error}", config.data.display()))?;
    let origins = OriginGuard::new(config.cors_origins.clone(), config.token.is_some(), &address);
    let server: Shared = Arc::new(Server::new(config, databases, origins));
    announce(&server.config, &address);
    stop_on_signal(server.clone())?;
    reload_on_signal(tls.clone())?;
    let opening = Arc::clone(&server);
    let opened = tokio::task::spawn_blocking(move || opening.databases.open_all());
    chores::begin(&server);
    let ended = connections::serve(listener, tls, router(server.clone()), &server).await;
    Ok(finish(&server, opened, &ended).await)
}

async fn listen(config: &Config) -> Result<TcpListener, String> {
    let (host, port) = (config.host.trim_matches(['[', ']']), config.port);
    TcpListener::bind((host, port))
        .await
        .map_err(|error| format!("cannot listen on {host}:{port}: {error}"))
}

/// Refuses to be reachable by others without a token.
fn check_exposure(config: &Config, address: &SocketAddr) -> Result<(), String> {
    if is_loopback(address) || config.token.is_some() || config.insecure {
        return Ok(());
    }
    Err(format!(
        "{} is reached by other machines and there is no token: whoever connects could read and drop every \
         database. Set NEDBD_TOKEN, or listen on 127.0.0.1, or say --insecure",
        address.ip()
    ))
}

/// Says on the standard output where the server listens: whoever started it with port 0 reads it there.
fn announce(config: &Config, address: &SocketAddr) {
    let (version, data) = (env!("CARGO_PKG_VERSION"), config.data.display());
    let auth = if config.token.is_some() { "on" } else { "off" };
    let mut out = std::io::stdout().lock();
    let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
    // Nobody may be reading it.
    let _told = writeln!(out, "nedbd {version} — {scheme}://{address} data={data} auth={auth}")
        .and_then(|()| out.flush());
    if config.test_clock.is_some() {
        tracing::error!(target: OPERATION, "NEDBD_TEST_CLOCK is set: every time in the log is made up");
    }
    tracing::info!(target: OPERATION, version, auth, read_only = config.read_only, "started");
}

/// Waits for what is in flight, closes the databases, and says how it ended.
async fn finish(server: &Shared, opened: JoinHandle<()>, ended: &Ended) -> ExitCode {
    if tokio::time::timeout_at(ended.deadline, opened).await.is_err()
        || !server.wait_for_calls(ended.deadline.saturating_duration_since(Instant::now())).await
    {
        tracing::error!(target: OPERATION, "some calls did not end in time");
        // The log is whole up to what was acknowledged; the threads that are left cannot be waited for.
        std::process::exit(CUT_SHORT.into());
    }
    let closing = Arc::clone(server);
    let closed = tokio::task::spawn_blocking(move || closing.databases.close()).await;
    let mut exit = if ended.is_drained { ExitCode::SUCCESS } else { ExitCode::from(CUT_SHORT) };
    for (database, outcome) in closed.unwrap_or_default() {
        if let Err(error) = outcome {
            tracing::error!(target: OPERATION, database, %error, "not closed cleanly");
            exit = ExitCode::FAILURE;
        }
    }
    tracing::info!(target: OPERATION, "stopped");
    exit
}

/// Stops the server at the first signal, and ends the process at the second.
fn stop_on_signal(server: Shared) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|error| format!("signals: {error}"))?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!(target: OPERATION, "stopping");
        server.stop.send_replace(true);
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// Reads the certificate and its key again at each SIGHUP, as whoever renews them sends it. A server without them
/// goes on as well: by default the signal would end it, in the middle of what it does.
#[cfg(unix)]
fn reload_on_signal(tls: Option<Arc<Tls>>) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).map_err(|error| format!("signals: {error}"))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match tls.as_ref().map(|tls| tls.reload()) {
                None => tracing::info!(target: OPERATION, "a hangup, and nothing to reload"),
                Some(Ok(())) => tracing::info!(target: OPERATION, "certificate reloaded"),
                Some(Err(why)) => {
                    tracing::error!(target: OPERATION, why, "certificate not reloaded")
                }
            }
        }
    });
    Ok(())
}

/// There is no such signal here: a new certificate needs a new start.
#[cfg(not(unix))]
fn reload_on_signal(_tls: Option<Arc<Tls>>) -> Result<(), String> {
    Ok(())
}

/// The signals that stop a server.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that stop a server.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Token;

    #[test]
    fn others_are_let_in_with_a_token_or_when_that_is_said() {
        let local = "127.0.0.1:1".parse().unwrap();
        let open = "0.0.0.0:1".parse().unwrap();
        let plain = Config::default();
        let with_token = Config { token: Token::new("t").ok(), ..Config::default() };
        let insecure = Config { insecure: true, ..Config::default() };
        assert!(check_exposure(&plain, &local).is_ok());
        assert!(check_exposure(&plain, &"[::1]:1".parse().unwrap()).is_ok());
        assert!(check_exposure(&plain, &open).unwrap_err().contains("NEDBD_TOKEN"));
        assert!(check_exposure(&with_token, &open).is_ok());
        assert!(check_exposure(&insecure, &open).is_ok());
    }
}
