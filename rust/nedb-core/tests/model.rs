//! Random scripts against a naive model.
//!
//! The model is written from `docs/nql.md` and the page that says what every call means, and from
//! nothing else: a list of ops, from which every answer is worked out anew. A script of random writes,
//! refused ones among them, is run on it, on a database in memory without indexes, and on one on a disk
//! that gets indexes and is reopened at random moments. Then all three are asked the same: at HEAD after
//! every step, and AS OF every seq at the end.
//!
//! A failing script is shrunk, and printed as the calls that were made. `NEDB_MODEL_SEED` takes another
//! seed than the fixed one, `NEDB_MODEL_SCRIPTS` another number of scripts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "it is test code"
)]

mod model_support;

use model_support::check::check_script;
use model_support::script::{Flavour, script};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::Cell;

const SCRIPT_STEPS_MAX: usize = 60;
const SEED: u64 = 20_261_121;
const SCRIPTS: u32 = 100;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn check_scripts(flavour: Flavour) {
    let seed = setting("NEDB_MODEL_SEED", SEED);
    let cases = setting("NEDB_MODEL_SCRIPTS", SCRIPTS.into()) as u32;
    eprintln!("{flavour:?}: NEDB_MODEL_SEED={seed}, {cases} scripts");
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    let failed = Cell::new(None);
    let outcome = TestRunner::new_with_rng(config, rng)
        .run(&script(flavour, SCRIPT_STEPS_MAX), |script| {
            check_script(&script, &failed).map_err(TestCaseError::fail)
        });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, script)) => {
            panic!("NEDB_MODEL_SEED={seed}, {} steps:\n{why}", script.len())
        }
        Err(TestError::Abort(why)) => panic!("NEDB_MODEL_SEED={seed}: {why}"),
    }
}

#[test]
fn any_script_gives_what_the_model_gives() {
    check_scripts(Flavour::General);
}

#[test]
fn scripts_of_ends_and_valid_times_give_what_the_model_gives() {
    check_scripts(Flavour::Time);
}

#[test]
fn scripts_of_causes_links_and_transactions_give_what_the_model_gives() {
    check_scripts(Flavour::Graph);
}
