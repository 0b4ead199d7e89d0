//! What is no request, whatever it asks for: without the one `Host` that it must have, or in no Unicode.
//!
//! In: a request. Out: why it is refused, if it is. The guard against pages rests on it: it looks at the one `Host`
//! that there is, and all of it is one.

use crate::auth::split_host;
use crate::refusal::Refusal;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri, Version};

/// Tells why a request is none, if it is none.
pub fn malformed(request: &Request) -> Option<Refusal> {
    let uri = request.uri();
    let wrong =
        wrong_host(request.headers(), request.version(), uri).or_else(|| wrong_text(uri))?;
    Some(Refusal::invalid(wrong))
}

/// RFC 9112, 3.2: none, a second one, and one that is no host are each a bad request.
fn wrong_host(headers: &HeaderMap, version: Version, uri: &Uri) -> Option<&'static str> {
    let mut given = headers.get_all(HOST).iter();
    let Some(host) = given.next() else {
        return (version >= Version::HTTP_11).then_some("a request has a Host");
    };
    if given.next().is_some() {
        return Some("a request has one Host");
    }
    let Some(host) = host.to_str().ok().filter(|host| split_host(host).is_some()) else {
        return Some(
            "a Host is a name or an address, and behind it a colon and a port, or neither",
        );
    };
    // Who asks for a whole URL says the same there, or somebody in between is led astray.
    let is_other = uri.authority().is_some_and(|named| !named.as_str().eq_ignore_ascii_case(host));
    is_other.then_some("the Host is another one than the one that is asked for")
}

fn wrong_text(uri: &Uri) -> Option<&'static str> {
    if !is_text(uri.path()) {
        return Some("the path is no UTF-8 once it is percent-decoded");
    }
    let is_wrong = uri.query().is_some_and(|query| !is_text(query));
    is_wrong.then_some("what is behind the ? is no UTF-8 once it is percent-decoded")
}

/// Tells whether a text is one once it is percent-decoded.
fn is_text(encoded: &str) -> bool {
    let mut pieces = encoded.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|two| two.bytes().all(|it| it.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(piece.get(2..).unwrap_or_default().as_bytes());
            }
            // What is no encoding stands for itself.
            None => bytes.extend_from_slice(piece.as_bytes()),
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn is_refused(uri: &str, version: Version, hosts: &[&str]) -> bool {
        let mut builder = Request::builder().uri(uri).version(version);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        malformed(&builder.body(Body::empty()).unwrap()).is_some()
    }

    #[test]
    fn a_request_has_one_host_and_all_of_it_is_one() {
        let is_refused = |uri, hosts: &[&str]| is_refused(uri, Version::HTTP_11, hosts);
        for host in [
            "localhost",
            "localhost:7070",
            "localhost:",
            "LOCALHOST:1",
            "[::1]",
            "[::1]:7070",
            "127.0.0.1:65535",
            "db.example",
            "a_b-c.example:80",
            "a%20b",
            "",
        ] {
            assert!(!is_refused("/health", &[host]), "{host}");
        }
        for host in [
            "localhost:7070.evil",
            "localhost:7070:7070",
            "localhost:65536",
            "localhost:+1",
            "localhost/",
            "user@localhost",
            "localhost evil",
            "[::1",
            "[::1]7070",
            "[::1].evil",
            "[localhost]",
            "::1",
            "a,b\\",
        ] {
            assert!(is_refused("/health", &[host]), "{host}");
        }
        assert!(is_refused("/health", &[]));
        assert!(is_refused("/health", &["localhost", "localhost"]));
        assert!(!is_refused("http://localhost:1/health", &["Localhost:1"]));
        assert!(is_refused("http://evil.example/health", &["localhost"]));
        assert!(!super::tests::is_refused("/health", Version::HTTP_10, &[]));
        assert!(super::tests::is_refused("/health", Version::HTTP_10, &["a", "b"]));
    }

    #[test]
    fn what_is_decoded_is_text() {
        for (text, is_one) in [
            ("/v1/databases/a%2Fb", true),
            ("%c3%A9", true),
            ("%", true),
            ("%zz%4", true),
            ("%2525ff", true),
            ("é", true),
            ("%ff", false),
            ("%C3", false),
            ("a%c3%28", false),
            ("%ed%a0%80", false),
        ] {
            assert_eq!(is_text(text), is_one, "{text}");
        }
    }
}
