//! The document that describes the paths, made from the handlers.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
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
