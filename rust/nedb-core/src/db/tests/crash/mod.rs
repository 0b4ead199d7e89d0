//! Crashes at every call that changes the disk, and what must be found afterwards.
//!
//! A script is a list of steps. It is run once on a disk that works; that run's course says which ops it
//! submits and what reads answer after each of them. Then it is run once for each call that changes the disk,
//! with a crash or a failure there, and every disk that may be left is opened and held against the
//! course: a prefix of the ops that were submitted, with every acknowledged one in it, nothing half
//! visible, nothing that looks like damage.
//!
//! To add a kind of op: add a step to a script in `scripts`. To add a script: add a function there, name it in
//! `scripts::all`, and name its tests at the end of `machine`, `process`, `failing` and `twice`. What it leaves to be
//! read is asked in `check::answers`.
//!
//! Every choice is drawn from `SEED`; what fails names the script, the call, the image and its seed. To
//! look at other images, run the tests with `NEDB_CRASH_SEED` set to another number.
//!
//! | file | what it owns |
//! |---|---|
//! | `scripts` | what is done |
//! | `course` | running a script; what it submits and what reads answer |
//! | `check` | what must be found on a disk that was left |
//! | `machine` | tests: the machine stops, and stops again while the database is opened |
//! | `process` | tests: the process ends, and the machine stops later |
//! | `failing` | tests: one call fails, and the process goes on |
//! | `named` | tests: failures of one write, one behaviour each |
//! | `rekeying` | tests: crashes and failures while a key is changed |
//! | `encrypting` | tests: crashes while a database is encrypted in place, and while an encrypted one is made |
//! | `filing` | tests: what changes packs fails, once or for good |
//! | `repairing` | tests: crashes and failures during a repair |
//! | `twice` | tests: a call fails, and during what follows another one does, or the machine stops |
//! | `honest` | tests: a disk that lies is found out, so that these tests can fail |

mod check;
mod course;
mod encrypting;
mod failing;
mod filing;
mod honest;
mod machine;
mod named;
mod process;
mod rekeying;
mod repairing;
mod scripts;
mod twice;

/// What every choice is drawn from.
fn seed() -> u64 {
    std::env::var("NEDB_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
