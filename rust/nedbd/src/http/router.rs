//! Which path is which handler, and what stands before all of them.

use super::answer::json;
use super::changes;
use super::guard;
use super::openapi::{Document, add_errors};
use super::routes::{databases, documents, files, graph, queries, service, upkeep};
use crate::refusal::{Code, Refusal};
use crate::server::Shared;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Makes the service that answers every request.
pub fn router(server: Shared) -> Router {
    let (router, mut document) = described().split_for_parts();
    add_errors(&mut document);
    let document = document.to_json().unwrap_or_default();
    let mut router = router
        .route("/openapi.json", get(|| async move { json(document.clone()) }))
        .fallback(|| async {
            Refusal::new(Code::RouteNotFound, "there is no such path; /openapi.json lists them")
        })
        .method_not_allowed_fallback(|| async {
            let message = "this path is not for this method; /openapi.json says for which it is";
            Refusal::new(Code::MethodNotAllowed, message).into_response()
        })
        // The bound is the one of the configuration, where a body is read.
        .layer(DefaultBodyLimit::disable());
    let origins = &server.config.cors_origins;
    if !origins.is_empty() {
        // Behind what answers browsers, so that a page can read why it was refused.
        router = router.layer(from_fn_with_state(server.clone(), guard::check));
        router = router.layer(guard::cors(origins));
    }
    router.layer(from_fn_with_state(server.clone(), guard::pass)).with_state(server)
}

/// Returns every path that is described.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(service::health))
        .routes(routes!(service::metrics))
        .routes(routes!(databases::list, databases::create))
        .routes(routes!(databases::detail, databases::remove))
        .routes(routes!(queries::query))
        .routes(routes!(queries::index))
        .routes(routes!(documents::put))
        .routes(routes!(documents::put_many))
        .routes(routes!(documents::get))
        .routes(routes!(documents::delete))
        .routes(routes!(documents::expire))
        .routes(routes!(documents::batch))
        .routes(routes!(documents::get_row, documents::delete_row))
        .routes(routes!(graph::link))
        .routes(routes!(graph::unlink))
        .routes(routes!(graph::neighbors))
        .routes(routes!(graph::inbound))
        .routes(routes!(files::put_file, files::get_file))
        .routes(routes!(files::files))
        .routes(routes!(files::file_versions))
        .routes(routes!(files::file_root))
        .routes(routes!(files::file_proof))
        .routes(routes!(files::compression_stats))
        .routes(routes!(files::compact_blobs))
        .routes(routes!(upkeep::verify))
        .routes(routes!(upkeep::log))
        .routes(routes!(upkeep::checkpoint))
        .routes(routes!(upkeep::sweep))
        .routes(routes!(upkeep::flush))
        .routes(routes!(upkeep::backup))
        .routes(routes!(changes::changes))
}
