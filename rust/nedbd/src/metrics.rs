//! What the server counts, and how Prometheus reads it.
//!
//! In: requests and connections as they come and go. Out: the text of `/metrics`.
//!
//! Invariants:
//! * A label is a route, a method, a status or a database: never what a client made up, so the number of
//!   series is bounded.

use nedb_core::{Distribution, Statistics};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Everything that is counted.
#[derive(Default)]
pub struct Metrics {
    /// By route.
    routes: Mutex<BTreeMap<String, Route>>,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    open_connections: AtomicI64,
    accepted_connections: AtomicU64,
    refused_connections: AtomicU64,
    given_up_connections: AtomicU64,
    failed_handshakes: AtomicU64,
}

/// What is counted of one route.
#[derive(Default)]
struct Route {
    /// Requests answered, by method and status.
    counts: BTreeMap<(&'static str, u16), u64>,
    latency: Latency,
}

#[derive(Default)]
struct Latency {
    counts: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// One request that was answered, or whose client left.
pub struct Answered<'a> {
    pub method: &'static str,
    pub route: &'a str,
    pub status: u16,
    pub elapsed: Duration,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// What is known of a database.
pub struct DatabaseGauge {
    pub name: String,
    pub statistics: Statistics,
    /// Whether its last write was refused, or has failed, on its way to the disk.
    pub refuses_writes: bool,
}

impl Metrics {
    /// Counts a request.
    pub fn answered(&self, answered: &Answered<'_>) {
        let seconds = answered.elapsed.as_secs_f64();
        self.received_bytes.fetch_add(answered.received_bytes, Ordering::Relaxed);
        self.sent_bytes.fetch_add(answered.sent_bytes, Ordering::Relaxed);
        let mut routes = lock(&self.routes);
        // A name is made for the first request of a route, and not for each.
        match routes.get_mut(answered.route) {
            Some(route) => route.count(answered, seconds),
            None => routes.entry(answered.route.to_owned()).or_default().count(answered, seconds),
        }
    }

    /// Counts a connection that is open now.
    pub fn connected(&self) {
        self.accepted_connections.fetch_add(1, Ordering::Relaxed);
        self.open_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a connection.
    pub fn disconnected(&self) {
        self.open_connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection for which there was no place.
    pub fn refused(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a silent connection that was closed since another one needed its place.
    pub fn given_up(&self) {
        self.given_up_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a client that did not agree on TLS with the server.
    pub fn handshake_failed(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes everything in the text format of Prometheus.
    pub fn write(&self, databases: &[DatabaseGauge], queries_count: usize) -> String {
        let mut out = String::new();
        self.write_requests(&mut out);
        self.write_latencies(&mut out);
        for (name, kind, help, value) in [
            ("received_bytes_total", "counter", "Bytes of bodies received.", &self.received_bytes),
            ("sent_bytes_total", "counter", "Bytes of bodies sent.", &self.sent_bytes),
            ("connections_total", "counter", "Connections accepted.", &self.accepted_connections),
            (
                "connections_refused_total",
                "counter",
                "Connections for which there was no place.",
                &self.refused_connections,
            ),
            (
                "connections_given_up_total",
                "counter",
                "Silent connections that were closed for others.",
                &self.given_up_connections,
            ),
            (
                "tls_handshakes_failed_total",
                "counter",
                "Connections that ended before TLS was agreed on.",
                &self.failed_handshakes,
            ),
        ] {
            head(&mut out, name, kind, help);
            push(&mut out, format_args!("nedbd_{name} {}", value.load(Ordering::Relaxed)));
        }
        head(&mut out, "connections", "gauge", "Connections open now.");
        let open = self.open_connections.load(Ordering::Relaxed);
        push(&mut out, format_args!("nedbd_connections {open}"));
        if let Some(bytes) = resident_bytes() {
            head(
                &mut out,
                "resident_bytes",
                "gauge",
                "What the server holds of the machine's memory.",
            );
            push(&mut out, format_args!("nedbd_resident_bytes {bytes}"));
        }
        head(&mut out, "queries", "gauge", "Queries under way that take a while.");
        push(&mut out, format_args!("nedbd_queries {queries_count}"));
        write_databases(databases, &mut out);
        out
    }

    fn write_requests(&self, out: &mut String) {
        head(out, "requests_total", "counter", "Requests answered.");
        for (route, counted) in lock(&self.routes).iter() {
            for ((method, status), count) in &counted.counts {
                let labels =
                    format_args!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
                push(out, format_args!("nedbd_requests_total{{{labels}}} {count}"));
            }
        }
    }

    fn write_latencies(&self, out: &mut String) {
        let name = "request_seconds";
        head(out, name, "histogram", "Time from a request's head to its answer's.");
        for (route, Route { latency, .. }) in lock(&self.routes).iter() {
            let at = format_args!("nedbd_{name}_bucket{{route=\"{route}\",le=").to_string();
            for (count, bound) in latency.counts.iter().zip(BUCKETS) {
                push(out, format_args!("{at}\"{bound}\"}} {count}"));
            }
            push(out, format_args!("{at}\"+Inf\"}} {}", latency.count));
            push(out, format_args!("nedbd_{name}_sum{{route=\"{route}\"}} {}", latency.seconds));
            push(out, format_args!("nedbd_{name}_count{{route=\"{route}\"}} {}", latency.count));
        }
    }
}

impl Route {
    fn count(&mut self, answered: &Answered<'_>, seconds: f64) {
        *self.counts.entry((answered.method, answered.status)).or_default() += 1;
        let latency = &mut self.latency;
        latency.count += 1;
        latency.seconds += seconds;
        for (count, bound) in latency.counts.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
    }
}

fn write_databases(databases: &[DatabaseGauge], out: &mut String) {
    type Value = fn(&Statistics) -> i64;
    let columns: [(&str, &str, &str, Value); 8] = [
        ("database_seq", "gauge", "Seq of the last op.", |it| it.seq),
        ("database_durable_seq", "gauge", "Seq of the last op that is on the disk.", |it| {
            it.durable_seq
        }),
        ("commit_batches_total", "counter", "Batches committed since the start.", |it| {
            clamp(it.batch_ops.count())
        }),
        ("commit_ops_total", "counter", "Ops committed since the start.", |it| {
            clamp(it.batch_ops.sum)
        }),
        ("commit_bytes_total", "counter", "Bytes of log written since the start.", |it| {
            clamp(it.written_bytes)
        }),
        ("cache_hits_total", "counter", "Texts found in the cache.", |it| {
            clamp(it.cache_hit_count)
        }),
        ("cache_misses_total", "counter", "Texts read from the disk.", |it| {
            clamp(it.cache_miss_count)
        }),
        ("cache_held_bytes", "gauge", "Bytes of the texts that the cache holds.", |it| {
            clamp(it.cache_held_bytes)
        }),
    ];
    for (name, kind, help, value) in columns {
        head(out, name, kind, help);
        for DatabaseGauge { name: label, statistics, .. } in databases {
            let value = value(statistics);
            push(out, format_args!("nedbd_{name}{{database=\"{label}\"}} {value}"));
        }
    }
    let help =
        "1 while writes are refused, since the disk is full, has failed, or the log is gone.";
    head(out, "database_refuses_writes", "gauge", help);
    for DatabaseGauge { name, refuses_writes, .. } in databases {
        let value = u8::from(*refuses_writes);
        push(out, format_args!("nedbd_database_refuses_writes{{database=\"{name}\"}} {value}"));
    }
    head(out, "commit_batch_ops", "histogram", "Ops that were committed together.");
    for DatabaseGauge { name, statistics, .. } in databases {
        write_distribution("commit_batch_ops", name, &statistics.batch_ops, 1.0, out);
    }
    head(out, "sync_seconds", "histogram", "Time that a sync of a log took.");
    for DatabaseGauge { name, statistics, .. } in databases {
        write_distribution("sync_seconds", name, &statistics.sync_us, 1e-6, out);
    }
}

/// Writes a histogram of one database, its values times a unit.
fn write_distribution(name: &str, label: &str, of: &Distribution, unit: f64, out: &mut String) {
    let labels = format!("database=\"{label}\"");
    let mut count = 0;
    for (bound, more) in of.bounds.iter().zip(&of.counts) {
        count += more;
        let bound = *bound as f64 * unit;
        push(out, format_args!("nedbd_{name}_bucket{{{labels},le=\"{bound}\"}} {count}"));
    }
    let (count, sum) = (of.count(), of.sum as f64 * unit);
    push(out, format_args!("nedbd_{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
    push(out, format_args!("nedbd_{name}_sum{{{labels}}} {sum}"));
    push(out, format_args!("nedbd_{name}_count{{{labels}}} {count}"));
}

/// Returns what this process holds of the machine's memory, where the system says so.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn clamp(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    push(out, format_args!("# HELP nedbd_{name} {help}\n# TYPE nedbd_{name} {kind}"));
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _always_written = writeln!(out, "{line}");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let metrics = Metrics::default();
        for milliseconds in [1, 20, 60_000] {
            metrics.answered(&Answered {
                method: "GET",
                route: "/health",
                status: 200,
                elapsed: Duration::from_millis(milliseconds),
                received_bytes: 0,
                sent_bytes: 10,
            });
        }
        let text = metrics.write(&[], 3);
        for line in [
            "nedbd_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 3",
            "nedbd_request_seconds_bucket{route=\"/health\",le=\"0.0005\"} 0",
            "nedbd_request_seconds_bucket{route=\"/health\",le=\"0.001\"} 1",
            "nedbd_request_seconds_bucket{route=\"/health\",le=\"0.025\"} 2",
            "nedbd_request_seconds_bucket{route=\"/health\",le=\"10\"} 2",
            "nedbd_request_seconds_bucket{route=\"/health\",le=\"+Inf\"} 3",
            "nedbd_request_seconds_count{route=\"/health\"} 3",
            "nedbd_sent_bytes_total 30",
            "nedbd_queries 3",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn databases_have_a_series_each() {
        let distribution =
            |bounds, counts: &[u64], sum| Distribution { bounds, counts: counts.to_vec(), sum };
        let gauge = |name: &str, seq| DatabaseGauge {
            name: name.to_owned(),
            refuses_writes: seq == 5,
            statistics: Statistics {
                seq,
                durable_seq: -1,
                batch_ops: distribution(&[1, 8], &[2, 1, 0], 9),
                written_bytes: 300,
                sync_us: distribution(&[250, 1_000_000], &[1, 1, 1], 3_500_000),
                cache_hit_count: 4,
                cache_miss_count: 5,
                cache_held_bytes: 77,
            },
        };
        let text = Metrics::default().write(&[gauge("a", -1), gauge("b", 5)], 0);
        for line in [
            "nedbd_database_seq{database=\"a\"} -1",
            "nedbd_database_seq{database=\"b\"} 5",
            "nedbd_database_refuses_writes{database=\"a\"} 0",
            "nedbd_database_refuses_writes{database=\"b\"} 1",
            "nedbd_commit_bytes_total{database=\"b\"} 300",
            "nedbd_commit_batches_total{database=\"b\"} 3",
            "nedbd_commit_batch_ops_bucket{database=\"a\",le=\"8\"} 3",
            "nedbd_commit_batch_ops_sum{database=\"a\"} 9",
            "nedbd_sync_seconds_bucket{database=\"b\",le=\"0.00025\"} 1",
            "nedbd_sync_seconds_bucket{database=\"b\",le=\"1\"} 2",
            "nedbd_sync_seconds_bucket{database=\"b\",le=\"+Inf\"} 3",
            "nedbd_sync_seconds_sum{database=\"b\"} 3.5",
            "nedbd_cache_misses_total{database=\"a\"} 5",
            "nedbd_cache_held_bytes{database=\"a\"} 77",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
