//! How long the usual queries take; run with `cargo test --release -- --ignored --nocapture speed`.

use std::time::Instant;

use super::fixture::Fixture;
use crate::snapshot::IndexKind;

#[test]
#[ignore = "measures; says nothing in a debug build"]
#[allow(clippy::print_stderr)]
fn speed_of_the_usual_queries_over_20_000_documents() {
    let fixture = Fixture::new();
    for number in 0..20_000 {
        let status = if number % 3 == 0 { "off" } else { "active" };
        let document = format!(
            r#"{{"name":"user number {number}","age":{},"status":"{status}","score":{}.5,"note":"some more text"}}"#,
            number % 100,
            number % 17
        );
        fixture.put("users", &format!("u{number}"), &document);
    }
    let queries = [
        r#"FROM users WHERE age = 77 AND status = "off""#,
        "FROM users GROUP BY status COUNT AVG age",
        "FROM users ORDER BY age DESC LIMIT 10",
        "FROM users ORDER BY age",
        "FROM users",
        r#"FROM users SEARCH "777""#,
        r#"FROM users WHERE name LIKE "%99%""#,
        "FROM users WHERE age BETWEEN 10 AND 12",
        r#"FROM users WHERE age = 77 AND status = "off" LIMIT 1"#,
    ];
    for indexed in [false, true] {
        if indexed {
            fixture.index("users", IndexKind::Ordered, "age");
            fixture.index("users", IndexKind::Eq, "status");
        }
        for nql in queries {
            let mut best = f64::MAX;
            let mut rows = 0;
            for _ in 0..5 {
                let start = Instant::now();
                rows = fixture.query(nql).len();
                best = best.min(start.elapsed().as_secs_f64());
            }
            eprintln!("{:8.3} ms  {rows:6} rows  indexed {indexed}  {nql}", best * 1e3);
        }
    }
}
