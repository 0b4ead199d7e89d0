//! What a script may do, and how scripts are made up.
//!
//! Steps say what they mean relative to the state they meet, "the seq before the last" or "the version
//! that is there", so that a script still means something when shrinking has taken steps out of it.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

pub const COLLECTIONS: [&str; 2] = ["c", "d"];
pub const IDS: [&str; 4] = ["p", "q", "r:s", "t"];
pub const RELATIONS: [&str; 2] = ["likes", "knows"];
/// Fields that get indexes, with a kind: eq, ordered, search.
pub const INDEXES: [(&str, &str); 9] = [
    ("a", "eq"),
    ("a", "ordered"),
    ("b", "eq"),
    ("b", "ordered"),
    ("n.x", "ordered"),
    ("tags", "eq"),
    ("_id", "ordered"),
    ("text", "search"),
    ("b", "search"),
];

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    Put {
        target: Target,
        document: &'static str,
        fields: Vec<(&'static str, &'static str)>,
        options: Options,
    },
    PutMany {
        collection: usize,
        documents: Vec<(usize, Vec<(&'static str, &'static str)>)>,
        options: Options,
    },
    Delete {
        target: Target,
        options: Options,
    },
    Link {
        edge: Edge,
        options: Options,
    },
    Unlink {
        edge: Edge,
        options: Options,
    },
    Batch {
        items: Vec<BatchItem>,
        options: Options,
    },
    Expire {
        target: Target,
        ttl_s: f64,
    },
    /// Reads, and puts with another `a`, deletes, or keeps.
    Update {
        target: Target,
        change: Change,
        options: Options,
    },
    Sweep,
    /// The clock moves on by so many seconds.
    Tick(f64),
    CreateIndex {
        collection: usize,
        index: usize,
    },
    Checkpoint,
    Reopen {
        without_checkpoints: bool,
    },
}

/// A document: places in `COLLECTIONS` and `IDS`, or a name that is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    Good(usize, usize),
    BadCollection,
    BadId,
}

#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub from: (usize, usize),
    pub relation: usize,
    pub to: (usize, usize),
    /// A node without a colon.
    pub is_bad: bool,
}

#[derive(Clone, Debug)]
pub enum BatchItem {
    Put { target: (usize, usize), fields: Vec<(&'static str, &'static str)>, options: Options },
    Delete { target: (usize, usize), options: Options },
    Link(Edge),
    Unlink(Edge),
}

#[derive(Clone, Copy, Debug)]
pub enum Change {
    SetA(&'static str),
    Delete,
    Keep,
}

/// What a write says about itself. Everything may be absent.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub client: Option<&'static str>,
    pub nonce: Option<i64>,
    pub idem: Option<&'static str>,
    pub ttl_s: Option<f64>,
    /// How many ops before its own each cause is: 1 is the last op, 0 itself, which is refused.
    pub causes_back: Vec<i64>,
    pub evidence: Option<&'static str>,
    pub confidence: Option<f64>,
    pub valid: (Option<&'static str>, Option<&'static str>),
    pub if_seq: Option<IfSeq>,
}

#[derive(Clone, Copy, Debug)]
pub enum IfSeq {
    /// What is there, or -1.
    Current,
    Absent,
    Zero,
}

/// How often what happens.
#[derive(Clone, Copy, Debug)]
pub enum Flavour {
    /// Everything.
    General,
    /// Much of what depends on time: ends, valid times, sweeps.
    Time,
    /// Much of what hangs together: causes, transactions, links.
    Graph,
}

const VALUES: [&str; 14] = [
    "null",
    "false",
    "true",
    "0",
    "1",
    "1.0",
    "2",
    "2.5",
    "-3",
    "\"x\"",
    "\"y\"",
    "\"\"",
    "[1,\"x\"]",
    "{\"k\":1}",
];
const NUMBERS: [&str; 8] =
    ["0", "1", "1.0", "2.5", "-4", "9007199254740993", "9007199254740992.0", "\"no\""];
const TEXTS: [&str; 8] = [
    "\"red fox\"",
    "\"Red fox, red dog\"",
    "\"a fox\"",
    "\"dog\"",
    "\"the lazy dog and the red fox jump\"",
    "\"50%_\"",
    "[\"fox\",\"red\"]",
    "7",
];
const TAGS: [&str; 4] = ["[]", "[\"x\",1]", "[1.0,[2]]", "\"xyz\""];

/// Makes the fields of a document: each of them may be absent.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let parts = (
        weighted(0.8, select(&VALUES[..])),
        weighted(0.7, select(&VALUES[5..])),
        weighted(0.6, select(&NUMBERS[..])),
        weighted(0.6, select(&TEXTS[..])),
        weighted(0.3, select(&TAGS[..])),
    );
    parts.prop_map(|(a, b, n, text, tags)| {
        let named = [("a", a), ("b", b), ("n", n), ("text", text), ("tags", tags)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    })
}

/// Writes fields as a JSON object; `n` is nested.
pub fn object_text(fields: &[(&'static str, &'static str)]) -> String {
    let member = |(name, value): &(&str, &str)| match *name {
        "n" => format!("\"n\":{{\"x\":{value}}}"),
        _ => format!("\"{name}\":{value}"),
    };
    format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(","))
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        60 => (0..COLLECTIONS.len(), 0..IDS.len()).prop_map(|(at, id)| Target::Good(at, id)),
        60 => (0..IDS.len()).prop_map(|id| Target::Good(0, id)),
        1 => Just(Target::BadCollection),
        1 => Just(Target::BadId),
    ]
}

fn node() -> impl Strategy<Value = (usize, usize)> {
    (0..COLLECTIONS.len(), 0..IDS.len())
}

fn edge() -> impl Strategy<Value = Edge> {
    (node(), 0..RELATIONS.len(), node(), prop::bool::weighted(0.02))
        .prop_map(|(from, relation, to, is_bad)| Edge { from, relation, to, is_bad })
}

const VALID: [(Option<&str>, Option<&str>); 8] = [
    (Some("2024-01-01"), Some("2024-06-30")),
    (Some("2024-06-30T12:00:00Z"), None),
    (None, Some("2023-12-31")),
    (Some("2024-03-01T00:00:00+02:00"), Some("2024-03-01")),
    (Some("2023-01-01"), Some("2025-01-01T00:00:00Z")),
    (Some("2024-01-01"), None),
    (Some("2025-01-01"), Some("2024-12-31")),
    (Some("soon"), None),
];

/// Makes options; `weight` is how likely the parts are that belong to a flavour.
fn options(flavour: Flavour) -> impl Strategy<Value = Options> {
    let (time, graph) = match flavour {
        Flavour::General => (0.12, 0.25),
        Flavour::Time => (0.45, 0.1),
        Flavour::Graph => (0.03, 0.7),
    };
    let identity = (
        weighted(0.2, Just("other")),
        weighted(0.04, prop_oneof![9 => 1..60_i64, 1 => Just(0)]),
        weighted(0.06, select(&["k1", "k2"][..])),
        weighted(0.1, select(&[IfSeq::Current, IfSeq::Current, IfSeq::Absent, IfSeq::Zero][..])),
    );
    let causes = prop_oneof![
        ((1.0 - graph) * 100.0) as u32 => Just(Vec::new()),
        (graph * 95.0) as u32 => vec(1..8_i64, 1..3),
        2 => vec(0..2_i64, 1..3),
    ];
    let claims = (
        weighted(time, prop_oneof![30 => select(&[5.0, 10.0, 10.5][..]), 1 => Just(0.0)]),
        causes,
        weighted(0.05, Just("seen")),
        weighted(0.05, prop_oneof![9 => Just(0.25), 9 => Just(1.0), 1 => Just(1.5)]),
        weighted(time, prop_oneof![30 => select(&VALID[..6]), 1 => select(&VALID[6..])]),
    );
    (identity, claims).prop_map(|((client, nonce, idem, if_seq), claims)| {
        let (ttl_s, causes_back, evidence, confidence, valid) = claims;
        let valid = valid.unwrap_or_default();
        Options { client, nonce, idem, ttl_s, causes_back, evidence, confidence, valid, if_seq }
    })
}

/// Leaves of options what a write without a document takes; rarely something that it refuses.
fn plain_options(flavour: Flavour, takes_if_seq: bool) -> impl Strategy<Value = Options> {
    (options(flavour), prop::bool::weighted(0.02)).prop_map(move |(options, is_wrong)| Options {
        ttl_s: options.ttl_s.filter(|_| is_wrong),
        valid: (options.valid.0.filter(|_| is_wrong), None),
        if_seq: options.if_seq.filter(|_| takes_if_seq),
        ..options
    })
}

/// Leaves of options what an item of a transaction takes.
fn item_options(flavour: Flavour) -> impl Strategy<Value = Options> {
    options(flavour).prop_map(|options| Options {
        client: None,
        nonce: None,
        idem: None,
        ..options
    })
}

/// Leaves of options what several ops together take; rarely something that they refuse.
fn common_options(flavour: Flavour) -> impl Strategy<Value = Options> {
    (options(flavour), prop::bool::weighted(0.1)).prop_map(|(options, is_wrong)| Options {
        nonce: options.nonce.filter(|_| is_wrong),
        idem: options.idem.filter(|_| is_wrong),
        if_seq: options.if_seq.filter(|_| is_wrong),
        ..options
    })
}

fn whole_options(flavour: Flavour) -> impl Strategy<Value = Options> {
    options(flavour).prop_map(|Options { client, nonce, idem, .. }| Options {
        client,
        nonce,
        idem,
        ..Options::default()
    })
}

fn batch_item(flavour: Flavour) -> impl Strategy<Value = BatchItem> {
    let put = (node(), fields(), item_options(flavour));
    let delete = (node(), item_options(flavour)).prop_map(|(target, options)| {
        let options = Options { ttl_s: None, valid: (None, None), ..options };
        BatchItem::Delete { target, options }
    });
    prop_oneof![
        5 => put.prop_map(|(target, fields, options)| BatchItem::Put { target, fields, options }),
        2 => delete,
        2 => edge().prop_map(BatchItem::Link),
        1 => edge().prop_map(BatchItem::Unlink),
    ]
}

/// A document that has a member twice.
pub const REPEATED_MEMBER: &str = r#"{"a":1,"a":2}"#;

/// Documents that are put as they stand: with members that only arguments may set, or refused.
const ODD_DOCUMENTS: [&str; 7] = [
    r#"{"_seq":99,"_score":1,"_caused_by":[0],"_expires_at":5,"_valid_from":"x","_mine":1,"a":1}"#,
    r#"{"_id":"p","a":2}"#,
    r#"{"_id":5}"#,
    r#"{"b":"x", "a" : 1e0, "n":{"x":1}}"#,
    "[1]",
    "{\"a\":}",
    REPEATED_MEMBER,
];

fn put(flavour: Flavour) -> impl Strategy<Value = Step> {
    let odd = prop_oneof![30 => Just(""), 1 => select(&ODD_DOCUMENTS[..])];
    (target(), odd, fields(), options(flavour)).prop_map(|(target, document, fields, options)| {
        Step::Put { target, document, fields, options }
    })
}

fn step(flavour: Flavour) -> impl Strategy<Value = Step> {
    let (time, graph) = match flavour {
        Flavour::General => (2, 4),
        Flavour::Time => (6, 1),
        Flavour::Graph => (1, 8),
    };
    let documents = vec((0..IDS.len(), fields()), 0..4);
    let put_many = (0..COLLECTIONS.len(), documents, common_options(flavour));
    let change = prop_oneof![
        4 => select(&VALUES[..]).prop_map(Change::SetA),
        1 => Just(Change::Delete),
        1 => Just(Change::Keep)
    ];
    let batch = (vec(batch_item(flavour), 0..5), whole_options(flavour));
    prop_oneof![
        24 => put(flavour),
        2 => put_many.prop_map(|(collection, documents, options)| Step::PutMany {
            collection, documents, options
        }),
        6 => (target(), plain_options(flavour, true))
            .prop_map(|(target, options)| Step::Delete { target, options }),
        graph => (edge(), plain_options(flavour, false))
            .prop_map(|(edge, options)| Step::Link { edge, options }),
        graph / 2 + 1 => (edge(), plain_options(flavour, false))
            .prop_map(|(edge, options)| Step::Unlink { edge, options }),
        graph => batch.prop_map(|(items, options)| Step::Batch { items, options }),
        time => (target(), select(&[5.0, 10.0, -1.0][..]))
            .prop_map(|(target, ttl_s)| Step::Expire { target, ttl_s }),
        3 => (target(), change, options(flavour))
            .prop_map(|(target, change, options)| Step::Update { target, change, options }),
        time => Just(Step::Sweep),
        time => select(&[1.0, 4.5, 10.0][..]).prop_map(Step::Tick),
        3 => (0..COLLECTIONS.len(), 0..INDEXES.len())
            .prop_map(|(collection, index)| Step::CreateIndex { collection, index }),
        1 => Just(Step::Checkpoint),
        2 => any::<bool>()
            .prop_map(|without_checkpoints| Step::Reopen { without_checkpoints }),
    ]
}

/// Makes a script.
pub fn script(flavour: Flavour, length_max: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(flavour), 1..length_max)
}
