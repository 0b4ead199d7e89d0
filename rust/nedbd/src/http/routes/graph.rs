//! Links and neighbours.

use super::fields::{Part, ok, position, position_members, strings, write_body};
use crate::databases::Served;
use crate::http::answer::{Answer, json};
use crate::http::request::{At, JsonBody, Url};
use crate::http::shapes;
use crate::server::Shared;
use axum::extract::State;
use nedb_core::{Database, Seq};
use serde::Deserialize;
use std::ops::Range;
use std::sync::Arc;
use utoipa::IntoParams;

write_body! {
    /// An edge; nodes are `collection:id`.
    LinkBody { frm: String, rel: String, to: String, }
}

/// Which edges a read follows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NodeQuery {
    /// `collection:id`.
    node: String,
    rel: String,
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
    /// Most nodes that are answered; the bound of the server when left out, and more than that are refused.
    limit: Option<usize>,
    /// How many are left out before them.
    offset: Option<usize>,
}

type ReadNodes =
    fn(&Database, &str, &str, Option<Seq>, Range<usize>) -> nedb_core::Result<Vec<String>>;

/// Adds an edge.
#[utoipa::path(post, path = "/v1/databases/{name}/link", tag = "graph",
    params(("name" = String, Path)), request_body = LinkBody,
    responses((status = 200, description = "{ok, seq, head}", body = shapes::Written)))]
pub async fn link(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    edge(&server, served, body, Change::Begins).await
}

/// Ends an edge.
#[utoipa::path(post, path = "/v1/databases/{name}/unlink", tag = "graph",
    params(("name" = String, Path)), request_body = LinkBody,
    responses((status = 200, description = "{ok, seq, head}", body = shapes::Written)))]
pub async fn unlink(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    edge(&server, served, body, Change::Ends).await
}

/// Lists the nodes that a node links to, in the order linked.
#[utoipa::path(get, path = "/v1/databases/{name}/neighbors", tag = "graph",
    params(("name" = String, Path), NodeQuery),
    responses((status = 200, description = "{nodes, count, seq, head}", body = shapes::NodeList)))]
pub async fn neighbors(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<NodeQuery>,
) -> Answer {
    nodes(&server, served, query, Database::neighbors_within).await
}

/// Lists the nodes that link to a node, in the order linked.
#[utoipa::path(get, path = "/v1/databases/{name}/inbound", tag = "graph",
    params(("name" = String, Path), NodeQuery),
    responses((status = 200, description = "{nodes, count, seq, head}", body = shapes::NodeList)))]
pub async fn inbound(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<NodeQuery>,
) -> Answer {
    nodes(&server, served, query, Database::inbound_within).await
}

/// What becomes of an edge.
enum Change {
    Begins,
    Ends,
}

async fn edge(server: &Shared, served: Arc<Served>, body: JsonBody, change: Change) -> Answer {
    let is_short = body.is_short();
    let write = async move {
        let mut edge: LinkBody = body.read()?;
        let (options, database) = (edge.options(), &served.database);
        let LinkBody { frm, rel, to, .. } = &edge;
        let receipt = match change {
            Change::Begins => database.link_later(frm, rel, to, &options).await?,
            Change::Ends => database.unlink_later(frm, rel, to, &options).await?,
        };
        Ok(ok(&receipt))
    };
    server.write(is_short, write).await.map(json)
}

async fn nodes(server: &Shared, served: Arc<Served>, query: NodeQuery, read: ReadNodes) -> Answer {
    let NodeQuery { node, rel, as_of, limit, offset } = query;
    let part = Part::of(server, limit, offset);
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let nodes = read(&served.database, &node, &rel, as_of, part.places())?;
        part.check(nodes.len())?;
        Ok(format!(r#"{{"nodes":{},"count":{},{position}}}"#, strings(&nodes), nodes.len()))
    };
    server.read(call).await.map(json)
}
