//! Runs the conformance suite from Rust.
//!
//! In: `tests/conformance/cases/<topic>/*.json`. Out: a line of counts, and for every failure the
//! file, the case, the step, what was expected and what came. The format of a case is described in
//! `tests/conformance/README.md`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]
#![expect(clippy::print_stdout, reason = "a runner tells how many cases it ran")]

#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/expect.rs"]
mod expect;
#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/host.rs"]
mod host;
#[path = "conformance/verbs.rs"]
mod verbs;

use case::{Case, Place};
use host::Host;

/// How many runs of cases ended how.
#[derive(Default)]
struct Counts {
    cases: usize,
    in_memory: usize,
    on_disk: usize,
    skipped: usize,
    failed: Vec<String>,
}

#[test]
fn every_conformance_case_holds() {
    let files = case::load_all().expect("the case files are readable");
    let mut counts = Counts::default();
    for file in &files {
        for case in &file.cases {
            run_everywhere(&file.name, case, &mut counts);
        }
    }
    for failure in &counts.failed {
        println!("{failure}\n");
    }
    println!(
        "conformance (rust): {} cases, {} runs in memory, {} on disk, {} skipped, {} failed",
        counts.cases,
        counts.in_memory,
        counts.on_disk,
        counts.skipped,
        counts.failed.len()
    );
    assert!(counts.cases > 0, "no case was found");
    assert!(counts.failed.is_empty(), "{} runs failed; see above", counts.failed.len());
}

/// Runs a case in every place it asks for.
fn run_everywhere(file: &str, case: &Case, counts: &mut Counts) {
    counts.cases += 1;
    if case.skip.contains_key("rust") {
        counts.skipped += 1;
        return;
    }
    for place in case.places() {
        match place {
            Place::Memory => counts.in_memory += 1,
            Place::Disk | Place::DiskWithCheckpoints => counts.on_disk += 1,
        }
        if let Err(failure) = run_case(case, place) {
            counts.failed.push(format!("{file}: {} ({place:?})\n  {failure}", case.name));
        }
    }
}

/// Runs the steps of a case in one place, then checks what must hold after every case.
fn run_case(case: &Case, place: Place) -> Result<(), String> {
    let mut host = Host::open(case.clock, place, case.tmk.as_deref())?;
    for (number, step) in case.steps.iter().enumerate() {
        host.run(step).map_err(|failure| format!("step {number} ({}): {failure}", step.verb))?;
    }
    host.check_end(case.head.as_deref()).map_err(|failure| format!("at the end: {failure}"))
}
