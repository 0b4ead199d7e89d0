//! Files: versions of bytes, written, read, checked.
//!
//! | file | what it owns |
//! |---|---|
//! | `put_file` | a version, written |
//! | `get_file` | a version, read; proofs of its chunks |
//! | `verify_files` | every chunk of every file, checked |
//! | `damage` | what is damaged of files |
//! | `compaction` | what files cost, and what can be given back |
//! | `packs` | the bytes of files, until the database is closed |

mod compaction;
mod damage;
mod get_file;
mod packs;
mod put_file;
mod verify_files;

pub use compaction::{CompactReport, CompressionStats};
pub use damage::{FileDamage, FileDamages};
pub use get_file::{FileAt, FileInfo, FileProof, FileReader};
pub(super) use packs::Packs;
pub use put_file::FileWriter;
pub use verify_files::VerifyFilesReport;
