//! What the server does by itself, on a timer: deletes what has expired, saves checkpoints, tries again what could
//! not be opened or takes no writes, reads on beside a writer.

use crate::logs::DATABASE;
use crate::server::Shared;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked whether a database that could not be opened can be now.
const TRY_AGAIN_INTERVAL: Duration = Duration::from_secs(1);

/// How often the allocator is made to give back what is free.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(1);
/// More than the allocator keeps in a thread: it asks for such a block, and takes it back, where it looks after what is
/// free in all.
const LARGE_BLOCK_BYTES: usize = 64 << 20;

/// Begins the chores; they end with the server.
pub fn begin(server: &Shared) {
    let config = &server.config;
    tokio::spawn(repeat(server.clone(), GIVE_BACK_INTERVAL, give_back));
    if config.read_only {
        tokio::spawn(repeat(server.clone(), config.refresh_interval, refresh));
        return;
    }
    tokio::spawn(repeat(server.clone(), TRY_AGAIN_INTERVAL, try_again));
    let chores: [(_, fn(&Shared)); 2] =
        [(config.sweep_interval, sweep), (config.checkpoint_interval, save_checkpoints)];
    for (interval, chore) in chores {
        if let Some(every) = interval {
            tokio::spawn(repeat(server.clone(), every, chore));
        }
    }
}

async fn repeat(server: Shared, every: Duration, chore: fn(&Shared)) {
    let mut stop = server.stop.subscribe();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and there is nothing to do yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stops| *stops) => return,
        }
        let shared = server.clone();
        let done = server.run(move || {
            chore(&shared);
            Ok(())
        });
        // When all places are taken it is done the next time.
        let _done_or_not = done.await;
    }
}

/// Has what a burst took given back to the system: the allocator does so only when something large is asked for or
/// freed, and after a burst nothing may be for hours. The block itself is never touched, and so takes no memory.
fn give_back(_server: &Shared) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BLOCK_BYTES)));
}

fn sweep(server: &Shared) {
    for served in server.databases.open() {
        let database = &served.name;
        match served.database.sweep() {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(target: DATABASE, database, deleted, "swept"),
            Err(_) if served.database.is_read_only() || served.database.is_closed() => {}
            Err(error) => tracing::error!(database, %error, "not swept"),
        }
    }
}

/// Saves the views of databases that were written to since they were saved last.
fn save_checkpoints(server: &Shared) {
    for served in server.databases.open() {
        let database = &served.name;
        match served.database.save_checkpoint() {
            Ok(false) => {}
            Ok(true) => tracing::info!(target: DATABASE, database, "checkpoint saved"),
            Err(_) if served.database.is_closed() => {}
            Err(error) => tracing::error!(database, %error, "no checkpoint saved"),
        }
    }
}

fn try_again(server: &Shared) {
    server.databases.try_again();
    server.troubles.look_after(&server.databases);
}

fn refresh(server: &Shared) {
    server.databases.try_again();
    for served in server.databases.open() {
        match served.database.refresh() {
            Ok(seq) => {
                let is_new = |known: &mut i64| seq > std::mem::replace(known, seq);
                served.commits.send_if_modified(is_new);
            }
            Err(_) if served.database.is_closed() || server.databases.follow_drop(&served) => {}
            Err(error) => {
                tracing::error!(database = served.name, %error, "not refreshed");
            }
        }
    }
}
