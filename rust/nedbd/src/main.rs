//! nedbd: NEDB databases over HTTP, in one process.
//!
//! | file | what it owns |
//! |---|---|
//! | `config` | flags, environment, file |
//! | `settings_file` | the file of settings, and places in it |
//! | `secret` | a text that is never shown |
//! | `logs` | what is written about itself |
//! | `run` | the life of a server: listen, open, serve, stop |
//! | `connections` | how many, how long, how much |
//! | `places` | who has a place among the connections |
//! | `tls` | the certificate and its key |
//! | `directory` | what the data directory holds |
//! | `databases` | the databases in it, by name |
//! | `finished` | what a client that leaves does not stop |
//! | `init` | what a new database begins with |
//! | `server` | what every request shares; how the engine is called |
//! | `chores` | what is done on a timer |
//! | `auth` | the token, and where a request may come from |
//! | `refusal` | why a request got no answer, in words of no protocol |
//! | `metrics` | what is counted |
//! | `clock` | a clock for tests |
//! | `http` | a protocol: another one is a folder beside it, over `server` and `databases` |

mod auth;
mod chores;
mod clock;
mod config;
mod connections;
mod databases;
mod directory;
mod finished;
mod http;
mod init;
mod logs;
mod metrics;
mod places;
mod refusal;
mod run;
mod secret;
mod server;
mod settings_file;
mod tls;
mod trouble;

use config::Command;
use mimalloc::MiMalloc;
use std::io::Write;
use std::process::ExitCode;

/// A request allocates some thirty times, on one thread, and frees on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What wrong usage ends with.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var_os(name);
    match config::load(std::env::args_os().skip(1), variable) {
        Ok(Command::Help) => say(&config::help()),
        Ok(Command::Version) => say(&format!("nedbd {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Serve(config)) => {
            logs::start(config.log_level, config.log_format);
            run::run(*config).unwrap_or_else(|why| complain(&why, 1))
        }
        Err(why) => complain(&why, WRONG_USAGE),
    }
}

fn say(text: &str) -> ExitCode {
    // Whoever pipes it away may stop reading.
    let _said = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(why: &str, code: u8) -> ExitCode {
    let _said = writeln!(std::io::stderr(), "nedbd: {why}");
    ExitCode::from(code)
}
