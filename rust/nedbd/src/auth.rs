//! Who may ask: the token, and where a request may come from.
//!
//! In: headers. Out: yes or no.
//!
//! Invariants:
//! * The comparison of a token takes the same time wherever it differs.
//! * A token is never part of a message, a log line or `Debug`.

use crate::secret::Secret;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use subtle::ConstantTimeEq;

/// Longest token, in bytes: it must fit in a header beside the others.
const TOKEN_BYTES_MAX: usize = 4_096;

/// What a name in a `Host` may have beside letters and digits: RFC 3986, 3.2.2.
const NAME_MARKS: &[u8] = b"-._~%!$&'()*+,;=";

/// What a client must know.
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    /// Makes a token of what a header can carry: visible ASCII without blanks.
    pub fn new(text: &str) -> Result<Token, String> {
        let is_sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > TOKEN_BYTES_MAX || !is_sendable {
            return Err(format!(
                "a token is 1 to {TOKEN_BYTES_MAX} visible ASCII characters without blanks"
            ));
        }
        Ok(Token(Secret::new(text)))
    }

    /// Tells whether a request carries the token.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        // Two headers might be read differently by something in between.
        let (Some(value), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(token.trim_start().as_bytes().ct_eq(self.0.reveal().as_bytes()))
    }
}

/// Tells whether an address is reached from this machine alone.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Checks what an operator says is an origin: it is compared with what browsers send, letter by letter, and what they
/// never send would let in nobody.
///
/// The error is a sentence for the person at the keyboard.
pub fn check_origin(text: &str) -> Result<(), String> {
    if text == "*" {
        return Ok(());
    }
    let wrong = |why: &str| Err(format!("{text:?} is no origin: {why}"));
    let Some((scheme, place)) = text.split_once("://") else {
        return wrong("it is scheme://host or scheme://host:port, or * for all");
    };
    if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii_graphic()) {
        return wrong("browsers send it in lower case and in ASCII, without blanks");
    }
    if place.contains(['/', '?', '#', '@']) {
        return wrong("it ends with the host or the port, without a path");
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    if !is_scheme(scheme) || !is_host(host) {
        return wrong("it is scheme://host or scheme://host:port, or * for all");
    }
    match (scheme, port) {
        ("http", Some("80")) | ("https", Some("443")) => {
            wrong("browsers leave out the port that its scheme has anyway")
        }
        (_, Some(port)) if port.starts_with('0') || port.parse::<u16>().is_err() => {
            wrong("its port is a number from 1 to 65535")
        }
        _ => Ok(()),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Tells whether a text is a name, or an address; one of IPv6 stands in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

/// Which requests a browser may have been talked into: a page of any site can send some kinds of requests
/// to a server on the same machine, and one without a token has nothing else to tell them by.
#[derive(Clone, Debug)]
pub struct OriginGuard {
    origins: Vec<String>,
    /// Whether the name that the client calls must be one of this machine itself.
    checks_host: bool,
}

impl OriginGuard {
    /// Makes the guard of a server; one with a token, or one that others may reach, takes any name.
    pub fn new(origins: Vec<String>, has_token: bool, address: &SocketAddr) -> OriginGuard {
        OriginGuard { origins, checks_host: !has_token && is_loopback(address) }
    }

    /// Tells whether a request comes from a page of an origin that was named.
    pub fn names(&self, headers: &HeaderMap) -> bool {
        origin_of(headers)
            .is_some_and(|origin| self.origins.iter().any(|it| it == origin || it == "*"))
    }

    /// Tells why a request is refused, if it is.
    pub fn objection(&self, headers: &HeaderMap) -> Option<&'static str> {
        let host = headers.get(HOST).and_then(|value| value.to_str().ok());
        if self.checks_host && !host.is_none_or(names_this_machine) {
            return Some(
                "without a token a server on this machine answers to localhost, 127.0.0.1 and [::1] \
                 alone: a page may have had its own name resolved to it",
            );
        }
        let origin = origin_of(headers)?;
        let is_own = origin
            .split_once("://")
            .is_some_and(|(_, name)| host.is_some_and(|host| host.eq_ignore_ascii_case(name)));
        (!is_own && !self.names(headers)).then_some(
            "a page of another origin may not call this server; name the origin in cors_origins to \
             let it",
        )
    }
}

/// Returns what a request says it comes from; nothing that anyone is called where that is no text.
fn origin_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(ORIGIN).map(|value| value.to_str().unwrap_or_default())
}

/// Tells whether a `Host` is this machine by its own name or address, with or without a port.
fn names_this_machine(host: &str) -> bool {
    let Some((name, _)) = split_host(host) else { return false };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Splits a `Host` into its name, or an address in its brackets, and its port, which may be empty; None for what is
/// no `Host` from its beginning to its end.
pub fn split_host(host: &str) -> Option<(&str, Option<&str>)> {
    let end = match host.starts_with('[') {
        true => host.find(']')? + 1,
        false => host.find(':').unwrap_or(host.len()),
    };
    let (name, rest) = host.split_at(end);
    let is_name = match name.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || NAME_MARKS.contains(&byte)),
    };
    let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    (is_name && port.is_none_or(is_port)).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_the_whole_token_once_is_the_token() {
        let token = Token::new("s3cret").unwrap();
        for (given, expected) in [
            (vec!["Bearer s3cret"], true),
            (vec!["bearer s3cret"], true),
            (vec!["Bearer s3cre"], false),
            (vec!["Bearer s3crets"], false),
            (vec!["Bearer S3CRET"], false),
            (vec!["Bearer"], false),
            (vec!["Basic s3cret"], false),
            (vec!["s3cret"], false),
            (vec![], false),
            (vec!["Bearer s3cret", "Bearer s3cret"], false),
        ] {
            let pairs: Vec<_> = given.iter().map(|it| (AUTHORIZATION, *it)).collect();
            assert_eq!(token.is_in(&headers(&pairs)), expected, "{given:?}");
        }
    }

    #[test]
    fn a_token_that_no_header_carries_is_refused() {
        for text in ["", "two words", "é", "line\n", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(Token::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for text in [
            "*",
            "https://app.example",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "https://a_b-c.example:8443",
            "tauri://localhost",
            "chrome-extension://abcdefgh",
            "http://app.example:443",
        ] {
            assert_eq!(check_origin(text), Ok(()), "{text}");
        }
        for (text, why) in [
            ("app.example", "scheme://host"),
            ("app.example:3000", "scheme://host"),
            ("https://", "scheme://host"),
            ("://app.example", "scheme://host"),
            ("https://*.example", "scheme://host"),
            ("https://[::g]", "scheme://host"),
            ("https://::1", "scheme://host"),
            ("null", "scheme://host"),
            ("https://app.example/", "without a path"),
            ("https://app.example/page", "without a path"),
            ("https://user@app.example", "without a path"),
            ("https://App.example", "lower case"),
            ("https://äpp.example", "ASCII"),
            ("https://app.example https://b.example", "blanks"),
            ("https://app.example:443", "leave out the port"),
            ("http://app.example:80", "leave out the port"),
            ("https://app.example:", "its port"),
            ("https://app.example:0", "its port"),
            ("https://app.example:080", "its port"),
            ("https://app.example:65536", "its port"),
        ] {
            let error = check_origin(text).unwrap_err();
            assert!(error.contains(why) && error.contains("is no origin"), "{text}: {error}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused_unless_named() {
        let local = "127.0.0.1:7070".parse().unwrap();
        let guard = OriginGuard::new(vec!["https://app.example".into()], false, &local);
        for (host, origin, allowed) in [
            ("localhost:7070", None, true),
            ("127.0.0.1:7070", None, true),
            ("[::1]:7070", None, true),
            ("localhost", Some("http://localhost"), true),
            ("localhost:7070", Some("https://app.example"), true),
            ("localhost:7070", Some("https://evil.example"), false),
            ("localhost:7070", Some("null"), false),
            ("evil.example:7070", None, false),
            ("evil.example:7070", Some("http://evil.example:7070"), false),
            ("127.0.0.1.evil.example", None, false),
            ("localhost:7070.evil", None, false),
            ("[::1].evil", None, false),
            ("[::1]7070", None, false),
            ("", None, false),
        ] {
            let mut pairs = vec![(HOST, host)];
            pairs.extend(origin.map(|origin| (ORIGIN, origin)));
            assert_eq!(guard.names(&headers(&pairs)), origin == Some("https://app.example"));
            let objection = guard.objection(&headers(&pairs));
            assert_eq!(objection.is_none(), allowed, "{host} {origin:?}");
        }
    }

    #[test]
    fn with_a_token_any_name_is_answered_to() {
        let guard = OriginGuard::new(vec![], true, &"127.0.0.1:7070".parse().unwrap());
        assert!(guard.objection(&headers(&[(HOST, "db.example")])).is_none());
        let open = OriginGuard::new(vec![], false, &"0.0.0.0:7070".parse().unwrap());
        assert!(open.objection(&headers(&[(HOST, "db.example")])).is_none());
    }
}
