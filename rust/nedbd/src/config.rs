//! What the server is told: one table of settings, read from four places.
//!
//! In: flags, the environment, a TOML file. Out: a [`Config`], or a sentence that names the setting, the
//! place and what is wrong.
//!
//! Invariants:
//! * A flag wins over the environment, the environment over the file, the file over the default.
//! * Every setting has one row in [`SETTINGS`]; its flag, its variable, its key in the file and its line of
//!   help are made from that row.
//! * The token and the key are never printed, also not by `Debug`; nor is the text of a file that may hold them, nor
//!   what was given where they may have been meant.

use crate::auth::{Token, check_origin};
use crate::settings_file::{self, Entry};
use lexopt::Arg;
use nedb_core::{Durability, Tmk};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything that the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    pub host: String,
    pub port: u16,
    pub data: PathBuf,
    /// Where backups go; None is `.backups` in the data directory.
    pub backups: Option<PathBuf>,
    pub token: Option<Token>,
    /// The key of what is on the disk, of all databases.
    pub tmk: Option<Tmk>,
    /// Whether plain databases are encrypted when they are opened with a key.
    pub encrypt_existing: bool,
    /// The files of the certificate and its key, in PEM; without them connections are not encrypted.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Whether other machines may connect without a token.
    pub insecure: bool,
    pub read_only: bool,
    pub durability: Durability,
    /// After how many ops the views are saved, so that the next start reads only what came after.
    pub checkpoint_every_ops: Option<u64>,
    /// Memory for document texts, for each database.
    pub cache_bytes: usize,
    pub cors_origins: Vec<String>,
    pub log_level: u8,
    pub log_format: LogFormat,
    pub limits: Limits,
    /// How often expired documents are deleted; None is never.
    pub sweep_interval: Option<Duration>,
    /// How often checkpoints are saved, where something was written since; None is never.
    pub checkpoint_interval: Option<Duration>,
    /// How often a server that only reads looks for what the writer has synced.
    pub refresh_interval: Duration,
    /// How long a stop waits for what is in flight.
    pub stop_timeout: Duration,
    /// A file that holds the time in seconds, for tests alone.
    pub test_clock: Option<PathBuf>,
}

/// The bounds of what a client may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest body of a request.
    pub body_bytes_max: usize,
    /// Longest file that is taken; it is never in memory whole.
    pub file_bytes_max: u64,
    /// Longest head of a request: its line and its headers.
    pub header_bytes_max: usize,
    /// Most rows in one answer.
    pub rows_count_max: usize,
    /// Longest answer of a query; it is in memory whole until it is sent.
    pub answer_bytes_max: usize,
    /// Most memory that a query holds to sort, to group and to search.
    pub query_memory_bytes_max: usize,
    /// Most connections at a time; a call to the engine has one too.
    pub connections_count_max: usize,
    /// Most connections of one address; 0 is as many as there are, None half of them but for those on this machine.
    pub peer_connections_count_max: Option<usize>,
    /// Most files on their way in and out at a time: each needs the memory of a few chunks, up to 64 MiB.
    pub files_count_max: usize,
    /// Longest time for a body to arrive, and for a read to be answered.
    pub request_timeout: Duration,
    /// Longest time without a byte from a client that owes one, or to a client that takes none.
    pub idle_timeout: Duration,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "127.0.0.1".to_owned(),
            port: 7070,
            data: PathBuf::from("./nedb-data"),
            backups: None,
            token: None,
            tmk: None,
            encrypt_existing: true,
            tls_cert: None,
            tls_key: None,
            insecure: false,
            read_only: false,
            durability: Durability::Always,
            checkpoint_every_ops: Some(100_000),
            cache_bytes: 64 << 20,
            cors_origins: Vec::new(),
            log_level: 0,
            log_format: LogFormat::Text,
            limits: Limits::default(),
            sweep_interval: Some(Duration::from_secs(60)),
            checkpoint_interval: Some(Duration::from_secs(300)),
            refresh_interval: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(30),
            test_clock: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // A document of the engine's largest size, with its escapes and the members around it.
            body_bytes_max: 32 << 20,
            // What the engine takes.
            file_bytes_max: 64 << 30,
            header_bytes_max: 64 << 10,
            rows_count_max: 100_000,
            answer_bytes_max: 64 << 20,
            query_memory_bytes_max: 256 << 20,
            connections_count_max: 512,
            peer_connections_count_max: None,
            files_count_max: 32,
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

/// What was asked for on the command line.
#[derive(Debug)]
pub enum Command {
    Serve(Box<Config>),
    Help,
    Version,
}

type Apply = fn(&mut Config, &str) -> Result<(), String>;

/// One setting: `port` is `--port`, `NEDBD_PORT`, and `port` in the file.
pub struct Setting {
    /// In lower case with underscores.
    pub name: &'static str,
    /// What stands for the value in the help text; empty for a switch.
    pub value: &'static str,
    pub help: &'static str,
    /// Whether it may be given as a flag: what must stay secret may not, others can list flags.
    pub is_flag: bool,
    apply: Apply,
}

impl Setting {
    /// Tells whether the value is one that nobody else may see.
    fn is_secret(&self) -> bool {
        ["token", "tmk"].contains(&self.name)
    }
}

const fn flag(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    apply: Apply,
) -> Setting {
    Setting { name, value, help, is_flag: true, apply }
}

/// Every setting, in the order of the help text.
#[rustfmt::skip]
pub const SETTINGS: [Setting; 35] = [
    flag("host", "ADDRESS", "address to listen on (127.0.0.1)", |it, text| { it.host = text.to_owned(); Ok(()) }),
    flag("port", "NUMBER", "port to listen on; 0 takes a free one (7070)", |it, text| set(&mut it.port, text)),
    flag("data", "DIRECTORY", "where the databases are, each in a directory of its name (./nedb-data)", |it, text| { it.data = text.into(); Ok(()) }),
    flag("backups", "DIRECTORY", "where backups go (.backups in the data directory)", |it, text| { it.backups = Some(text.into()); Ok(()) }),
    Setting { name: "token", value: "TEXT", help: "what a client must say in Authorization: Bearer", is_flag: false, apply: set_token },
    flag("token_file", "FILE", "a file that holds the token", set_token_file),
    Setting { name: "tmk", value: "HEX", help: "the key that encrypts every database", is_flag: false, apply: set_tmk },
    flag("tmk_file", "FILE", "a file that holds the key that encrypts every database", set_tmk_file),
    flag("encrypt_existing", "WHETHER", "encrypt plain databases that are found when there is a key (true)", |it, text| switch(&mut it.encrypt_existing, text)),
    flag("tls_cert", "FILE", "the certificate, in PEM, with those that lead to it: serve HTTPS", |it, text| { it.tls_cert = Some(text.into()); Ok(()) }),
    flag("tls_key", "FILE", "the key of that certificate, in PEM", |it, text| { it.tls_key = Some(text.into()); Ok(()) }),
    flag("insecure", "", "let other machines connect without a token", |it, text| switch(&mut it.insecure, text)),
    flag("read_only", "", "read beside a process that writes, and write nothing", |it, text| switch(&mut it.read_only, text)),
    flag("durability", "WHEN", "when a write is answered: always, never, or milliseconds between syncs (always)", set_durability),
    flag("checkpoint_every_ops", "NUMBER", "ops after which a checkpoint is saved; 0 is only at a stop (100000)", set_checkpoint_every_ops),
    flag("cache_bytes", "BYTES", "memory for texts of documents, for each database (64 MiB)", |it, text| set(&mut it.cache_bytes, text)),
    flag("cors_origins", "LIST", "origins, with commas between, whose pages may call the server (none)", set_cors_origins),
    flag("log_level", "0..3", "0 errors, starts and stops; 1 requests; 2 databases; 3 everything (0)", set_log_level),
    flag("log_format", "FORMAT", "text or json (text)", set_log_format),
    flag("body_bytes_max", "BYTES", "longest body of a request (32 MiB)", |it, text| positive(&mut it.limits.body_bytes_max, text)),
    flag("file_bytes_max", "BYTES", "longest file that is taken (64 GiB)", |it, text| set(&mut it.limits.file_bytes_max, text)),
    flag("header_bytes_max", "BYTES", "longest head of a request, at least 8192 (64 KiB)", set_header_bytes_max),
    flag("rows_count_max", "NUMBER", "most rows, nodes, files or versions in one answer (100000)", |it, text| positive(&mut it.limits.rows_count_max, text)),
    flag("answer_bytes_max", "BYTES", "longest answer of a query (64 MiB)", |it, text| positive(&mut it.limits.answer_bytes_max, text)),
    flag("query_memory_bytes_max", "BYTES", "most memory that a query holds to sort, group and search (256 MiB)", |it, text| positive(&mut it.limits.query_memory_bytes_max, text)),
    flag("connections_count_max", "NUMBER", "most connections at a time, without those that ask for health (512)", set_connections_count_max),
    flag("peer_connections_count_max", "NUMBER", "most connections of one address; 0 is no bound (half, but for this machine)", |it, text| { set(it.limits.peer_connections_count_max.insert(0), text) }),
    flag("files_count_max", "NUMBER", "most files on their way in and out at a time (32)", |it, text| positive(&mut it.limits.files_count_max, text)),
    flag("request_timeout_ms", "MS", "longest time for a body to arrive and for a read to be answered (30000)", |it, text| milliseconds(&mut it.limits.request_timeout, text)),
    flag("idle_timeout_ms", "MS", "longest time that a connection stands still (75000)", |it, text| milliseconds(&mut it.limits.idle_timeout, text)),
    flag("sweep_interval_ms", "MS", "time between two deletions of what has expired; 0 is never (60000)", |it, text| optional_milliseconds(&mut it.sweep_interval, text)),
    flag("checkpoint_interval_ms", "MS", "time between two checkpoints of what was written to; 0 is never (300000)", |it, text| optional_milliseconds(&mut it.checkpoint_interval, text)),
    flag("refresh_interval_ms", "MS", "time between two looks at the writer's log, with read-only (1000)", |it, text| milliseconds(&mut it.refresh_interval, text)),
    flag("stop_timeout_ms", "MS", "longest time that a stop waits for what is in flight; cut short it ends with 3 (30000)", |it, text| milliseconds(&mut it.stop_timeout, text)),
    Setting { name: "debug", value: "", help: "log everything, as --log-level 3", is_flag: false, apply: |it, text| { let mut on = false; switch(&mut on, text)?; if on { it.log_level = 3; } Ok(()) } },
];

/// Reads the configuration from the command line, the environment and the file that they name.
///
/// The error is a sentence for the person at the keyboard.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let (flags, file) = match read_flags(arguments)? {
        Flags::Help => return Ok(Command::Help),
        Flags::Version => return Ok(Command::Version),
        Flags::Given { values, file } => (values, file),
    };
    let mut config = Config::default();
    if let Some(path) = file.or_else(|| variable("NEDBD_CONFIG").map(PathBuf::from)) {
        apply_file(&mut config, &path)?;
    }
    for setting in &SETTINGS {
        let name = variable_of(setting.name);
        // An empty variable is how a shell or a compose file says that there is none.
        if let Some(text) = variable(&name).filter(|text| !text.is_empty()) {
            // To leave it out would be to serve without the token that somebody set.
            let text = text.into_string().map_err(|_| format!("{name} is no Unicode text"))?;
            (setting.apply)(&mut config, &text).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    config.test_clock = variable("NEDBD_TEST_CLOCK").map(PathBuf::from);
    for (setting, text) in flags {
        let name = flag_of(setting.name);
        (setting.apply)(&mut config, &text).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(Command::Serve(Box::new(config)))
}

/// Returns the help text.
pub fn help() -> String {
    let mut out = format!(
        "nedbd {}: NEDB databases over HTTP\n\nUsage: nedbd [FLAGS]\n\nFlags:\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |spelled: &str, help: &str| out.push_str(&format!("  {spelled:<34} {help}\n"));
    for setting in SETTINGS.iter().filter(|it| it.is_flag) {
        line(format!("{} {}", flag_of(setting.name), setting.value).trim_end(), setting.help);
    }
    line("--config FILE", "a TOML file with any of these settings, in snake_case");
    line("--version", "print the version");
    line("--help", "print this");
    out.push_str(
        "\nEvery setting is also a variable: --log-level is NEDBD_LOG_LEVEL. A flag wins over a variable,\n\
         a variable over the file. The token (NEDBD_TOKEN) and the key (NEDB_TMK) are variables, lines of the\n\
         file, or files of their own, but no flags: other users of the machine can read flags. NEDBD_DEBUG=1 is --log-level 3.\n",
    );
    out
}

enum Flags {
    Help,
    Version,
    Given { values: Vec<(&'static Setting, String)>, file: Option<PathBuf> },
}

fn read_flags(arguments: impl IntoIterator<Item = OsString>) -> Result<Flags, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut values, mut file) = (Vec::new(), None);
    while let Some(argument) = parser.next().map_err(wrong_flag)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Flags::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Flags::Version),
            Arg::Long("config") => {
                file = Some(PathBuf::from(parser.value().map_err(wrong_flag)?));
            }
            Arg::Long(name) => {
                let is_named = |it: &&Setting| it.is_flag && it.name.replace('_', "-") == name;
                let Some(setting) = SETTINGS.iter().find(is_named) else {
                    return Err(format!("there is no flag --{name}; --help lists them"));
                };
                values.push((setting, flag_value(&mut parser, setting)?));
            }
            Arg::Short(letter) => {
                return Err(format!("there is no flag -{letter}; --help lists them"));
            }
            Arg::Value(_) => {
                let after = values.last().map_or(String::new(), |(setting, _)| {
                    format!(" (the first one after {})", flag_of(setting.name))
                });
                return Err(format!(
                    "there is an argument that belongs to no flag{after}; --help says what is understood"
                ));
            }
        }
    }
    Ok(Flags::Given { values, file })
}

/// Says what is wrong with a flag, and not what was given: it may be what is secret.
fn wrong_flag(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        lexopt::Error::MissingValue { option: Some(option) } => format!("{option} needs a value"),
        _ => "the flags are not understood; --help lists them".to_owned(),
    }
}

fn flag_value(parser: &mut lexopt::Parser, setting: &Setting) -> Result<String, String> {
    if setting.value.is_empty() {
        return Ok("true".to_owned());
    }
    let value = parser.value().map_err(wrong_flag)?;
    value.into_string().map_err(|_| format!("{} is no Unicode text", flag_of(setting.name)))
}

/// Returns the variable of a setting: the key is the one of every program that opens databases.
fn variable_of(name: &str) -> String {
    let is_shared = ["tmk", "tmk_file", "encrypt_existing"].contains(&name);
    let program = if is_shared { "NEDB" } else { "NEDBD" };
    format!("{program}_{}", name.to_uppercase())
}

fn flag_of(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

fn apply_file(config: &mut Config, path: &PathBuf) -> Result<(), String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let entries = settings_file::read(&text).map_err(|why| format!("{shown}: {why}"))?;
    for entry in &entries {
        apply_entry(config, entry).map_err(|why| format!("{shown}: {}: {why}", entry.place))?;
    }
    Ok(())
}

fn apply_entry(config: &mut Config, entry: &Entry) -> Result<(), String> {
    let Some(setting) = SETTINGS.iter().find(|it| it.name == entry.name.reveal()) else {
        return Err("there is no setting of that name; --help lists them".to_owned());
    };
    let name = setting.name;
    let value = entry.value.as_ref().filter(|_| entry.is_quoted || !setting.is_secret());
    let Some(value) = value else {
        let expected = if setting.is_secret() { "a text in quotes" } else { setting.value };
        return Err(format!("{name} has the wrong type: it is {expected}"));
    };
    (setting.apply)(config, value.reveal()).map_err(|why| format!("{name}: {why}"))
}

fn set<T: FromStr>(place: &mut T, text: &str) -> Result<(), String> {
    *place = text.parse().map_err(|_| "is no whole number, or none in range".to_owned())?;
    Ok(())
}

/// The most connections that can be asked for: more than a system gives a process files.
const CONNECTIONS_COUNT_MAX: usize = 65_536;

fn positive(place: &mut usize, text: &str) -> Result<(), String> {
    set(place, text)?;
    if *place == 0 { Err("must be at least 1".to_owned()) } else { Ok(()) }
}

fn switch(place: &mut bool, text: &str) -> Result<(), String> {
    *place = match text {
        "1" | "true" | "yes" | "on" => true,
        "0" | "false" | "no" | "off" => false,
        _ => return Err("is neither true nor false".to_owned()),
    };
    Ok(())
}

fn milliseconds(place: &mut Duration, text: &str) -> Result<(), String> {
    let mut count = 0_u64;
    set(&mut count, text)?;
    if count == 0 {
        return Err("must be at least 1 ms".to_owned());
    }
    *place = Duration::from_millis(count);
    Ok(())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn set_cors_origins(config: &mut Config, text: &str) -> Result<(), String> {
    config.cors_origins = list(text);
    config.cors_origins.iter().try_for_each(|origin| check_origin(origin))
}

fn set_token(config: &mut Config, text: &str) -> Result<(), String> {
    config.token = Some(Token::new(text)?);
    Ok(())
}

fn set_token_file(config: &mut Config, path: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    set_token(config, text.trim_end_matches(['\r', '\n']))
}

fn set_tmk(config: &mut Config, text: &str) -> Result<(), String> {
    config.tmk = Some(Tmk::from_hex(text).map_err(|error| error.to_string())?);
    Ok(())
}

fn set_tmk_file(config: &mut Config, path: &str) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(unreadable)?;
    config.tmk = Some(Tmk::from_file_bytes(&bytes));
    Ok(())
}

/// Says why a file with a secret is not read, and not its name: whoever takes one setting for the other puts the
/// secret there.
fn unreadable(error: std::io::Error) -> String {
    format!("the file that it names is not read: {error}")
}

fn set_durability(config: &mut Config, text: &str) -> Result<(), String> {
    let wrong = |_| "is always, never or a number of milliseconds".to_owned();
    config.durability = Durability::parse(text).map_err(wrong)?;
    Ok(())
}

fn set_log_level(config: &mut Config, text: &str) -> Result<(), String> {
    set(&mut config.log_level, text)?;
    if config.log_level > 3 { Err("is 0, 1, 2 or 3".to_owned()) } else { Ok(()) }
}

fn set_log_format(config: &mut Config, text: &str) -> Result<(), String> {
    config.log_format = match text {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err("is text or json".to_owned()),
    };
    Ok(())
}

fn set_header_bytes_max(config: &mut Config, text: &str) -> Result<(), String> {
    set(&mut config.limits.header_bytes_max, text)?;
    // The parser of HTTP takes no smaller buffer.
    if config.limits.header_bytes_max < 8192 { Err("is at least 8192".to_owned()) } else { Ok(()) }
}

fn set_connections_count_max(config: &mut Config, text: &str) -> Result<(), String> {
    positive(&mut config.limits.connections_count_max, text)?;
    // There is a thread for each that may have to wait for one.
    match config.limits.connections_count_max {
        0..=CONNECTIONS_COUNT_MAX => Ok(()),
        _ => Err(format!("is at most {CONNECTIONS_COUNT_MAX}")),
    }
}

fn set_checkpoint_every_ops(config: &mut Config, text: &str) -> Result<(), String> {
    let mut count = 0_u64;
    set(&mut count, text)?;
    config.checkpoint_every_ops = (count > 0).then_some(count);
    Ok(())
}

fn optional_milliseconds(place: &mut Option<Duration>, text: &str) -> Result<(), String> {
    let mut count = 0_u64;
    set(&mut count, text)?;
    *place = (count > 0).then(|| Duration::from_millis(count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
        let variable = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, text)| OsString::from(*text))
        };
        match load(flags.iter().map(OsString::from), variable)? {
            Command::Serve(config) => Ok(*config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nedbd.toml");
        std::fs::write(&path, "port = 1\nhost = \"::1\"\ncache_bytes = 5\nread_only = true\n")
            .unwrap();
        let file = path.to_str().unwrap();
        let config = loaded(
            &["--port", "3", "--config", file],
            &[("NEDBD_PORT", "2"), ("NEDBD_CACHE_BYTES", "6")],
        )
        .unwrap();
        assert_eq!((config.port, config.cache_bytes), (3, 6));
        assert_eq!((config.host.as_str(), config.read_only), ("::1", true));
        let config = loaded(&[], &[("NEDBD_CONFIG", file), ("NEDBD_PORT", "")]).unwrap();
        assert_eq!(config.port, 1);
    }

    #[test]
    fn the_variables_of_the_seeds_are_understood() {
        let config = loaded(
            &["--log-level", "2"],
            &[
                ("NEDBD_HOST", "0.0.0.0"),
                ("NEDBD_PORT", "9000"),
                ("NEDBD_DATA", "/var/db/nedb"),
                ("NEDBD_TOKEN", "my-secret"),
            ],
        )
        .unwrap();
        assert_eq!((config.host.as_str(), config.port, config.log_level), ("0.0.0.0", 9000, 2));
        assert_eq!(config.data, PathBuf::from("/var/db/nedb"));
        assert!(config.token.is_some());
        assert!(!format!("{config:?}").contains("my-secret"));
        assert_eq!(loaded(&[], &[("NEDBD_DEBUG", "1")]).unwrap().log_level, 3);
        assert_eq!(loaded(&[], &[]).unwrap().port, 7070);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (flags, variables, named) in [
            (vec!["--port", "70000"], vec![], "--port"),
            (vec!["--log-level", "4"], vec![], "--log-level"),
            (vec!["--header-bytes-max", "10"], vec![], "8192"),
            (vec!["--connections-count-max", "18446744073709551615"], vec![], "at most 65536"),
            (vec!["--prot", "1"], vec![], "--prot"),
            (vec!["--cors-origins", "https://a.example,https://b.example/"], vec![], "b.example/"),
            (vec![], vec![("NEDBD_CORS_ORIGINS", "app.example")], "NEDBD_CORS_ORIGINS"),
            (vec!["--token", "secret"], vec![], "no flag --token"),
            (vec!["--insecure", "shop"], vec![], "after --insecure"),
            (vec!["--insecure=two words"], vec![], "--insecure takes no value"),
            (vec!["--port"], vec![], "--port needs a value"),
            (vec!["-ttwo words"], vec![], "no flag -t"),
            (vec!["--config", "/does/not/exist"], vec![], "/does/not/exist"),
            (vec![], vec![("NEDBD_READ_ONLY", "maybe")], "NEDBD_READ_ONLY"),
            (vec![], vec![("NEDBD_TOKEN", "two words")], "NEDBD_TOKEN"),
            (vec![], vec![("NEDBD_TOKEN_FILE", "two words")], "NEDBD_TOKEN_FILE"),
            (vec![], vec![("NEDB_TMK", "two words")], "NEDB_TMK"),
            (vec!["--tmk-file", "two words"], vec![], "--tmk-file"),
            (vec!["--port", "two words"], vec![], "--port: is no whole number"),
            (vec!["--durability", "two words"], vec![], "--durability: is always"),
        ] {
            let error = loaded(&flags, &variables).unwrap_err();
            assert!(error.contains(named), "{flags:?}: {error}");
            assert!(!error.contains("two words"), "a token is never printed: {error}");
        }
    }

    #[test]
    fn an_unknown_key_of_the_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nedbd.toml");
        for (text, named) in [
            ("\nprot = 1", "line 2, column 1: there is no setting"),
            ("port = [1]", "line 1, column 1: port has the wrong type: it is NUMBER"),
            ("port", "line 1, column 5: it is no TOML"),
            ("port = 70000", "line 1, column 1: port: is no whole number"),
            ("token = 5", "token has the wrong type: it is a text in quotes"),
            ("tmk = 11111111111111111111111111111111", "tmk has the wrong type"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = loaded(&["--config", path.to_str().unwrap()], &[]).unwrap_err();
            assert!(error.contains(named) && error.contains("nedbd.toml: "), "{text}: {error}");
        }
        let origins = "cors_origins = [\"https://a.example\", \"https://b.example\"]";
        std::fs::write(&path, origins).unwrap();
        let config = loaded(&["--config", path.to_str().unwrap()], &[]).unwrap();
        assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn a_malformed_file_shows_nothing_of_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nedbd.toml");
        let secret = "c8c9d0e1f2a3b4c5d6e7f8a9";
        for malformed in [
            "tmk = SECRET",
            "token = SECRET",
            "token = \"SECRET",
            "token = 'SECRET",
            "token = \"\"\"SECRET",
            "token = \"SECRET\" x",
            "token = \"SECRET\"\"",
            "token = SECRET\"",
            "token = \"\\qSECRET\"",
            "token SECRET",
            "token: SECRET",
            "token == \"SECRET\"",
            "token = [\"SECRET\"]",
            "token = {value = \"SECRET\"}",
            "token = {\"SECRET\"}",
            "token.SECRET = 1",
            "[token]\nSECRET = 1",
            "[SECRET",
            "[[SECRET]]",
            "SECRET",
            "SECRET = \"token\"",
            "\"SECRET\" = \"token\"",
            "= SECRET",
            "token = \"a\"\ntoken = \"SECRET\"",
            "SECRET = 1\nSECRET = 2",
            "tmk = 0xSECRET",
            "tmk = \"SECRETx\"",
            "tmk = 1979-05-27SECRET",
            "tmk = 1_SECRET",
            "tmk = +SECRET",
            "token = \"SECRET two\"",
            "token = \"SECRET\u{7f}\"",
            "token_file = \"SECRET\"",
            "tmk_file = \"SECRET\"",
            "port = \"SECRET\"",
            "durability = \"SECRET\"",
            "read_only = \"SECRET\"",
            "log_format = \"SECRET\"",
        ] {
            std::fs::write(&path, malformed.replace("SECRET", secret)).unwrap();
            let error = loaded(&["--config", path.to_str().unwrap()], &[]).unwrap_err();
            assert!(error.contains("nedbd.toml: line "), "{malformed}: {error}");
            assert!(!error.contains(&secret[..6]) && !error.contains('\n'), "{malformed}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_refused_and_not_left_out() {
        use std::os::unix::ffi::OsStringExt;
        let variable = |name: &str| {
            (name == "NEDBD_TOKEN").then(|| OsString::from_vec(b"s3cret\xff".to_vec()))
        };
        let error = load([], variable).unwrap_err();
        assert_eq!(error, "NEDBD_TOKEN is no Unicode text");
    }

    #[test]
    fn secrets_are_not_shown_with_the_rest() {
        let variables =
            [("NEDBD_TOKEN", "my-secret"), ("NEDB_TMK", "c8c9d0e1f2a3b4c5c8c9d0e1f2a3b4c5")];
        let config = loaded(&[], &variables).unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("Token(***)") && shown.contains("Tmk(***)"), "{shown}");
    }

    #[test]
    fn the_page_about_the_server_names_every_setting() {
        let page = include_str!("../../../docs/nedbd.md");
        for setting in &SETTINGS {
            let variable = format!("`{}`", variable_of(setting.name));
            assert!(page.contains(&variable), "{variable}");
            let flag = format!("`{}`", flag_of(setting.name));
            assert_eq!(page.contains(&flag), setting.is_flag, "{flag}");
        }
    }

    #[test]
    fn help_names_every_flag() {
        for setting in &SETTINGS {
            assert_eq!(help().contains(&format!("{} ", flag_of(setting.name))), setting.is_flag);
        }
    }
}
