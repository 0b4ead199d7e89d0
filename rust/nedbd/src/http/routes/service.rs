//! Health, metrics.

use crate::http::answer::{Answer, json};
use crate::http::request::Url;
use crate::http::shapes;
use crate::metrics::DatabaseGauge;
use crate::server::Shared;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// What is asked of the server's health.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HealthQuery {
    /// Answer 503 until every database is open, for whoever sends it traffic.
    ready: bool,
}

/// Tells whether the server lives, and whether all databases are open and none refuses writes since a disk is full or
/// has failed. Asks for no token.
#[utoipa::path(get, path = "/health", tag = "service", params(HealthQuery), security(()),
    responses((status = 200, description = "{ok, service, version, live, ready, databases}; no databases where a token is set", body = shapes::Health),
        (status = 503, description = "asked with ready=true before it is", body = shapes::Health)))]
pub async fn health(State(server): State<Shared>, Url(query): Url<HealthQuery>) -> Answer {
    let ready = server.databases.is_ready() && server.databases.take_writes();
    let databases = match &server.config.token {
        // Names are for those who have the token.
        Some(_) => String::new(),
        None => format!(r#","databases":{}"#, super::fields::strings(&server.databases.names())),
    };
    let version = env!("CARGO_PKG_VERSION");
    let mut response = json(format!(
        r#"{{"ok":true,"service":"nedbd","version":"{version}","live":true,"ready":{ready}{databases}}}"#
    ));
    if query.ready && !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// Gives the server's counts in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "the text format of Prometheus", body = String, content_type = "text/plain")))]
pub async fn metrics(State(server): State<Shared>) -> Response {
    let gauge = |served: &std::sync::Arc<crate::databases::Served>| DatabaseGauge {
        name: served.name.clone(),
        statistics: served.database.statistics(),
        refuses_writes: served.database.write_trouble().is_some(),
    };
    let gauges: Vec<DatabaseGauge> = server.databases.open().iter().map(gauge).collect();
    let mut response = server.metrics.write(&gauges, server.queries_count()).into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}
