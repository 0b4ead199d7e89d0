//! The document that describes the paths, made from the handlers.

use super::shapes::ErrorBody;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// What the document says beside the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "nedbd",
        description = "NEDB databases over HTTP. Bodies are JSON; documents come back as they are stored. \
            Errors are {\"error\": {\"code\", \"message\"}}.",
        license(name = "Apache-2.0 OR MIT")
    ),
    components(schemas(ErrorBody)),
    security(("token" = []), ()),
    modifiers(&Token)
)]
pub struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The statuses of errors that any path may answer, and what each is about.
const ERRORS: [(&str, &str); 15] = [
    ("400", "the request has the wrong form"),
    ("401", "the token is missing or wrong"),
    ("403", "another origin asks, or nothing may be written"),
    ("404", "there is no such database, document or file"),
    ("405", "the path is for another method"),
    ("408", "it took longer than it may"),
    ("409", "it is there already, or was written before"),
    ("412", "a precondition does not hold"),
    ("413", "it is larger than it may be"),
    ("416", "the range begins behind the end"),
    ("423", "another process has the database"),
    ("429", "as much is under way as may be"),
    ("431", "the head of the request is longer than it may be"),
    ("500", "the disk failed, the log is damaged, or NEDB has a defect"),
    ("503", "the database is being opened, or cannot be without its key"),
];

/// Says of every path how it answers errors, where the path does not say so itself.
pub fn add_errors(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        methods.into_iter().flatten().for_each(add_errors_to);
    }
}

fn add_errors_to(operation: &mut Operation) {
    for (status, about) in ERRORS {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
            let shape = Some(Ref::from_schema_name("ErrorBody"));
            let content = ContentBuilder::new().schema(shape).build();
            let response =
                ResponseBuilder::new().description(about).content("application/json", content);
            RefOr::T(response.build())
        });
    }
}
