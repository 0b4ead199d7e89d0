//! What the benches on a disk share: the floor, medians, and rows to print.
//!
//! The floor is what the disk itself gives: bytes appended to a plain file and synced, again and again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The bytes of a line in the log, about those of a document of 110 bytes with all that stands around it.
pub const LINE_BYTES: usize = 430;

/// A plain file that is appended to and synced.
pub struct Floor {
    file: File,
    bytes: Vec<u8>,
}

impl Floor {
    /// Makes the file; each append is `bytes` long.
    pub fn new(path: &Path, bytes: usize) -> Floor {
        let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        Floor { file, bytes: vec![b'x'; bytes] }
    }

    /// Appends and syncs `count` times, and returns the seconds that each took.
    pub fn run(&mut self, count: usize) -> Vec<f64> {
        let once = |_| {
            let start = Instant::now();
            self.file.write_all(&self.bytes).unwrap();
            self.file.sync_data().unwrap();
            start.elapsed().as_secs_f64()
        };
        (0..count).map(once).collect()
    }

    /// Returns how many times a second it appends and syncs.
    pub fn rate(&mut self, count: usize) -> f64 {
        count as f64 / self.run(count).iter().sum::<f64>()
    }
}

/// Returns the value that a share of the values is not above.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Returns the value in the middle.
pub fn median(values: &[f64]) -> f64 {
    quantile(&mut values.to_vec(), 0.5)
}

/// One line of the results.
pub struct Row {
    /// What was measured.
    pub work: String,
    /// What came out.
    pub figure: String,
    /// What it must reach, and whether it does.
    pub bound: Option<(String, bool)>,
}

impl Row {
    fn json(&self) -> String {
        let Row { work, figure, bound } = self;
        let rest = bound.as_ref().map_or(String::new(), |(bound, is_reached)| {
            format!(",\"bound\":\"{bound}\",\"reached\":{is_reached}")
        });
        format!("{{\"work\":\"{work}\",\"figure\":\"{figure}\"{rest}}}")
    }

    fn text(&self) -> String {
        let Row { work, figure, bound } = self;
        let rest = bound.as_ref().map_or(String::new(), |(bound, is_reached)| {
            format!("  (bound: {bound}, {})", if *is_reached { "reached" } else { "missed" })
        });
        format!("{work}: {figure}{rest}")
    }
}

/// What the command line says: `[--json] [--quick] FOLDER`.
pub struct Arguments {
    /// Where to write: a folder on the disk to measure, made if need be.
    pub folder: PathBuf,
    /// A smoke run.
    pub is_quick: bool,
    is_json: bool,
}

impl Arguments {
    /// Reads the command line.
    pub fn read() -> Arguments {
        let given: Vec<String> = std::env::args().skip(1).collect();
        let has = |name: &str| given.iter().any(|it| it == name);
        let folder = given.iter().find(|it| !it.starts_with("--"));
        let folder = PathBuf::from(folder.expect("name a folder on the disk to measure"));
        std::fs::create_dir_all(&folder).unwrap();
        Arguments { folder, is_quick: has("--quick"), is_json: has("--json") }
    }

    /// Returns a folder that nothing is in.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        folder
    }

    /// Prints what was measured, as text, or as one JSON object.
    pub fn print(&self, rows: &[Row]) {
        if self.is_json {
            let rows: Vec<String> = rows.iter().map(Row::json).collect();
            println!("{{\"rows\":[{}]}}", rows.join(","));
        } else {
            rows.iter().for_each(|row| println!("{}", row.text()));
        }
    }
}
