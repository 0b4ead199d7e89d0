//! Documents for the benches: the same five fields as in `bench/workload.py`, from a fixed seed.

use nedb_core::{Database, IndexKind, Options, Params, WriteOptions};

/// The collection that everything is in.
pub const COLLECTION: &str = "docs";
/// How many documents a bench database has.
pub const COUNT: usize = 20_000;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const STATUSES: [&str; 4] = ["active", "paused", "off", "trial"];
const VOCABULARY_COUNT: usize = 5_000;

/// Marsaglia's xorshift: enough for bench data, and no dependency.
pub struct Random(u64);

impl Random {
    /// Makes the numbers of one stream.
    pub fn new(stream: u64) -> Self {
        Random(SEED ^ (stream + 1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// Returns the rank of a word by Zipf's law: the inverse of the integral of 1/x.
    fn rank(&mut self) -> usize {
        let share = self.below(1 << 30) as f64 / (1_u64 << 30) as f64;
        ((VOCABULARY_COUNT as f64 + 2.7).powf(share) * 2.7_f64.powf(1.0 - share) - 2.7) as usize
    }
}

/// Returns a made-up word; two ranks never share one.
pub fn word(rank: usize) -> String {
    let syllables = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te"];
    let mut rest = rank + 12;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(syllables.get(rest % 12).copied().unwrap_or_default());
        rest /= 12;
    }
    word
}

/// Makes `count` documents of about `size_bytes` with their ids.
pub fn documents(count: usize, size_bytes: usize, stream: u64) -> Vec<(String, String)> {
    let mut random = Random::new(stream);
    (0..count).map(|number| (id(number), document(&mut random, size_bytes))).collect()
}

/// Returns the id of a document.
pub fn id(number: usize) -> String {
    format!("doc{number:06}")
}

fn document(random: &mut Random, size_bytes: usize) -> String {
    let age = random.below(100);
    let status = STATUSES.get(random.below(4)).copied().unwrap_or_default();
    let score = random.below(100_000) as f64 / 100.0;
    let name = format!("{} {}", word(random.rank()), word(random.rank()));
    let mut bio = String::new();
    while bio.len() + name.len() + 62 < size_bytes {
        bio.push_str(&word(random.rank()));
        bio.push(' ');
    }
    format!(
        r#"{{"name":"{name}","age":{age},"status":"{status}","bio":"{}","score":{score:?}}}"#,
        bio.trim_end()
    )
}

/// Makes a database in memory that holds the documents, with the three indexes if asked.
pub fn database(documents: &[(String, String)], indexed: bool) -> Database {
    let db = Database::in_memory(Options::default()).expect("a database in memory opens");
    if indexed {
        for (field, kind) in
            [("age", IndexKind::Eq), ("score", IndexKind::Ordered), ("bio", IndexKind::Search)]
        {
            db.create_index(COLLECTION, field, kind).expect("an index is created");
        }
    }
    put_all(&db, documents);
    db
}

/// Writes documents in batches.
pub fn put_all(db: &Database, documents: &[(String, String)]) {
    for batch in documents.chunks(1_000) {
        db.put_many(COLLECTION, batch, &WriteOptions::default()).expect("a batch is written");
    }
}

/// Runs a query and returns how many rows there were.
pub fn query(db: &Database, nql: &str) -> usize {
    db.query(nql, &Params::none()).expect("the query is right").len()
}

/// Returns the queries of the comparison with their names; `at` is put in after the collection.
pub fn queries(at: &str) -> Vec<(&'static str, String)> {
    let (rare, common) = (word(90), word(10));
    [
        ("scan", r#"WHERE age = 77 AND status = "off""#.to_owned()),
        ("eq", "WHERE age = 77 LIMIT 10".to_owned()),
        ("range", "WHERE score >= 450 AND score < 550 ORDER BY score LIMIT 10".to_owned()),
        ("search_rare", format!("SEARCH \"{rare}\" LIMIT 10")),
        ("search_common", format!("SEARCH \"{common}\" LIMIT 10")),
        ("group", "GROUP BY status AVG age".to_owned()),
    ]
    .into_iter()
    .map(|(name, clauses)| (name, format!("FROM {COLLECTION} {at} {clauses}")))
    .collect()
}
