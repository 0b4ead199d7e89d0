//! A file system in memory that counts the calls that change something.
//!
//! Invariants:
//! * Calls that only read are not counted: what they find depends on the others alone.
//! * After the call at which the process dies, every call fails and none has an effect.

use super::super::LogBytes;
use super::super::filesystem::{FileSystem, LockFile, OpenHow, StoredFile};
use super::content::Content;
use super::images::{Image, images};
use super::tree::{Directory, Node, NodeId, Tree};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing is done. A sync that fails leaves what was written in the cache, on the disk or not.
    NoEffect(io::ErrorKind),
    /// A write does its first half.
    Half(io::ErrorKind),
    /// A write does its first so many bytes.
    First(usize, io::ErrorKind),
    /// All is done, and an error is returned all the same.
    AllDone(io::ErrorKind),
}

/// What a disk does not do, though it says so: for tests of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    FileSyncs,
    DirectorySyncs,
}

/// A call that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub verb: &'static str,
    pub path: PathBuf,
}

/// What is going to happen to some calls.
#[derive(Clone, Debug)]
struct Plan {
    /// Their numbers.
    calls: Range<usize>,
    /// What their paths hold.
    part: String,
    /// Whether it happens only to calls that need room.
    needs_room: bool,
    event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Fail(Failure),
    Crash,
}

#[derive(Debug)]
struct World {
    tree: Tree,
    calls: Vec<Call>,
    /// Where two fit a call, the first one counts.
    plans: Vec<Plan>,
    failure_count: usize,
    lie: Option<Lie>,
    is_dead: bool,
    holds: Vec<Hold>,
    next_token: u64,
}

/// Who holds a file.
#[derive(Debug)]
struct Hold {
    node: NodeId,
    token: u64,
    is_exclusive: bool,
}

/// A disk that fails on purpose. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct FaultDisk {
    world: Arc<Mutex<World>>,
}

impl FaultDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        FaultDisk::from_tree(Tree::new())
    }

    pub(super) fn from_tree(tree: Tree) -> Self {
        let world = World {
            tree,
            calls: Vec::new(),
            plans: Vec::new(),
            failure_count: 0,
            lie: None,
            is_dead: false,
            holds: Vec::new(),
            next_token: 0,
        };
        FaultDisk { world: Arc::new(Mutex::new(world)) }
    }

    /// Lets the nth call from now on fail; the first is number 0. What was planned before is still going to
    /// happen.
    pub fn fail_at(&self, nth: usize, failure: Failure) {
        self.plan(nth..nth + 1, "", Event::Fail(failure));
    }

    /// Lets every call from the nth on fail whose path holds a part: a disk, or a place on it, that fails for good.
    pub fn fail_from(&self, nth: usize, part: &str, failure: Failure) {
        self.plan(nth..usize::MAX, part, Event::Fail(failure));
    }

    /// Leaves no room on the disk: from the nth call from now on appends do their first half, and nothing is made. What
    /// is cut, written over, renamed, removed or synced needs none.
    pub fn fill_at(&self, nth: usize) {
        let mut world = self.world.lock();
        let calls = world.calls.len() + nth..usize::MAX;
        let event = Event::Fail(Failure::Half(io::ErrorKind::StorageFull));
        world.plans.push(Plan { calls, part: String::new(), needs_room: true, event });
    }

    /// Leaves no room on the disk, from now on.
    pub fn fill(&self) {
        self.fill_at(0);
    }

    /// Lets the process die during the nth call from now on: what it does may be done or not. What was planned
    /// before is still going to happen.
    pub fn crash_at(&self, nth: usize) {
        self.plan(nth..nth + 1, "", Event::Crash);
    }

    fn plan(&self, calls: Range<usize>, part: &str, event: Event) {
        let mut world = self.world.lock();
        let now = world.calls.len();
        let calls = now + calls.start..now.saturating_add(calls.end);
        world.plans.push(Plan { calls, part: part.to_owned(), needs_room: false, event });
    }

    /// Lets nothing happen that was planned and has not happened yet.
    pub fn mend(&self) {
        self.world.lock().plans.clear();
    }

    /// Does something during which nothing happens that was planned; its calls are counted.
    pub fn in_peace<T>(&self, work: impl FnOnce() -> T) -> T {
        let plans = std::mem::take(&mut self.world.lock().plans);
        let done = work();
        self.world.lock().plans = plans;
        done
    }

    /// Returns how many calls have failed so far, the one not counted during which the process died.
    pub fn failure_count(&self) -> usize {
        self.world.lock().failure_count
    }

    /// Tells whether the process has died.
    pub fn is_dead(&self) -> bool {
        self.world.lock().is_dead
    }

    /// Makes the disk claim what it does not do.
    pub fn lie(&self, lie: Lie) {
        self.world.lock().lie = Some(lie);
    }

    /// Returns every call so far that changes something.
    pub fn calls(&self) -> Vec<Call> {
        self.world.lock().calls.clone()
    }

    /// Returns disks that a crash of the machine may leave now: all with few choices, else a sample drawn
    /// from the seed; the first one has nothing that was not synced, the last one everything.
    pub fn images(&self, seed: u64) -> Vec<Image> {
        images(&self.world.lock().tree, seed)
    }

    /// Returns the disk as the next process finds it: what is in the cache is there, and what is not
    /// synced is not synced.
    pub fn for_next_process(&self) -> FaultDisk {
        FaultDisk::from_tree(self.world.lock().tree.clone())
    }

    /// Returns a file's bytes.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let world = self.world.lock();
        let node = world.tree.find(path.as_ref())?;
        Ok(world.tree.file(node)?.cached().to_vec())
    }

    /// Puts a file on the disk as somebody else has left it, synced.
    pub fn place(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.world.lock();
        let path = path.as_ref();
        let content = Content::durable(bytes.to_vec());
        match world.tree.find(path) {
            Ok(node) => *world.tree.file_mut(node)? = content,
            Err(_) => {
                world.tree.add(path, Node::File(content))?;
                let (parent, _) = world.tree.find_parent(path)?;
                world.tree.sync_directory(parent)?;
            }
        }
        Ok(())
    }

    /// Returns the path and the bytes of everything on the disk; directories have none.
    pub fn listing(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let world = self.world.lock();
        let owned = |(path, bytes): (String, Option<&[u8]>)| (path, bytes.map(<[u8]>::to_vec));
        world.tree.listing().into_iter().map(owned).collect()
    }
}

impl World {
    fn check_alive(&self) -> io::Result<()> {
        if self.is_dead { Err(io::Error::other("the process is dead")) } else { Ok(()) }
    }

    /// Does something that counts, or lets it fail. `work` is told whether to do all of it or half.
    fn change<T>(
        &mut self,
        verb: &'static str,
        path: &Path,
        work: impl FnOnce(&mut Tree, Portion) -> io::Result<T>,
    ) -> io::Result<T> {
        self.check_alive()?;
        let number = self.calls.len();
        self.calls.push(Call { verb, path: path.to_path_buf() });
        let is_sync = verb.starts_with("sync");
        match self.event_at(number, verb, path) {
            Some(Event::Fail(failure)) => {
                self.failure_count += 1;
                let (portion, kind) = match failure {
                    Failure::NoEffect(kind) => (Portion::Nothing, kind),
                    Failure::Half(kind) => (Portion::Half, kind),
                    Failure::First(count, kind) => (Portion::First(count), kind),
                    Failure::AllDone(kind) => (Portion::All, kind),
                };
                work(&mut self.tree, portion)?;
                Err(io::Error::new(kind, format!("{verb} {} fails", path.display())))
            }
            Some(Event::Crash) => {
                self.is_dead = true;
                // What was asked for may still be done; a sync that does not return has promised nothing.
                if !is_sync {
                    work(&mut self.tree, Portion::All)?;
                }
                self.check_alive().map(|()| unreachable!("it is dead"))
            }
            None => work(&mut self.tree, Portion::All),
        }
    }

    /// Returns what is going to happen to a call.
    fn event_at(&self, number: usize, verb: &str, path: &Path) -> Option<Event> {
        let path = path.to_string_lossy();
        let needs_room = verb == "append" || verb.starts_with("create");
        let is_for_it = |it: &&Plan| {
            it.calls.contains(&number) && path.contains(&it.part) && (needs_room || !it.needs_room)
        };
        let plan = self.plans.iter().find(is_for_it);
        plan.map(|it| it.event)
    }
}

/// How much of a call is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Portion {
    Nothing,
    Half,
    First(usize),
    All,
}

impl Portion {
    fn is_all(self) -> bool {
        self == Portion::All
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        match self {
            Portion::Nothing => &[],
            Portion::Half => &bytes[..bytes.len() / 2],
            Portion::First(count) => &bytes[..count.min(bytes.len())],
            Portion::All => bytes,
        }
    }
}

/// Answers a call that was not done: nobody sees the answer, for the call has failed.
fn not_done() -> io::Error {
    io::Error::other("the call has failed")
}

impl FileSystem for FaultDisk {
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn StoredFile>> {
        let mut world = self.world.lock();
        world.check_alive()?;
        let node = match (world.tree.find(path), how) {
            (Ok(_), OpenHow::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(node), _) => node,
            (Err(error), OpenHow::Read | OpenHow::Overwrite) => return Err(error),
            (Err(_), _) => world.create(path, Node::File(Content::default()))?,
        };
        world.tree.file(node)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), node, path: path.to_path_buf() }))
    }

    fn open_lock(&self, path: &Path, creates: bool) -> io::Result<Box<dyn LockFile>> {
        let mut world = self.world.lock();
        world.check_alive()?;
        let node = match world.tree.find(path) {
            Ok(node) => node,
            Err(_) if creates => world.create(path, Node::File(Content::default()))?,
            Err(error) => return Err(error),
        };
        world.next_token += 1;
        let token = world.next_token;
        let file = OpenFile { disk: self.clone(), node, path: path.to_path_buf() };
        Ok(Box::new(OpenLock { file, token }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world.lock().change("rename", from, |tree, portion| match portion.is_all() {
            true => tree.rename(from, to),
            false => Ok(()),
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.tree.find(path)?;
        world.change("remove", path, |tree, portion| match portion.is_all() {
            true => tree.remove(path, false),
            false => Ok(()),
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.tree.find(path)?;
        world.change("remove directory", path, |tree, portion| match portion.is_all() {
            true => tree.remove(path, true),
            false => Ok(()),
        })
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        if world.tree.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.create(path, Node::Directory(Directory::default())).map(|_| ())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        let node = world.tree.find(path)?;
        let is_lie = world.lie == Some(Lie::DirectorySyncs);
        world.change("sync directory", path, |tree, portion| match portion.is_all() && !is_lie {
            true => tree.sync_directory(node),
            false => Ok(()),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world.lock();
        world.check_alive()?;
        let node = world.tree.find(path)?;
        Ok(world.tree.directory(node)?.cached.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.world.lock().tree.find(path).is_ok()
    }

    fn is_directory(&self, path: &Path) -> bool {
        let world = self.world.lock();
        world.tree.find(path).is_ok_and(|node| world.tree.directory(node).is_ok())
    }
}

impl World {
    fn create(&mut self, path: &Path, node: Node) -> io::Result<NodeId> {
        let verb = match &node {
            Node::File(_) => "create",
            Node::Directory(_) => "create directory",
        };
        self.change(verb, path, |tree, portion| match portion.is_all() {
            true => tree.add(path, node),
            false => Err(not_done()),
        })
    }
}

/// An open file.
#[derive(Debug)]
struct OpenFile {
    disk: FaultDisk,
    node: NodeId,
    path: PathBuf,
}

impl OpenFile {
    fn write(
        &self,
        verb: &'static str,
        bytes: &[u8],
        place: impl FnOnce(&Content) -> usize,
    ) -> io::Result<()> {
        self.disk.world.lock().change(verb, &self.path, |tree, portion| {
            let content = tree.file_mut(self.node)?;
            let at = place(content);
            if portion != Portion::Nothing {
                content.write(at, portion.of(bytes));
            }
            Ok(())
        })
    }
}

impl StoredFile for OpenFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.write("append", bytes, |content| content.cached().len())
    }

    fn overwrite(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.write("overwrite", bytes, |_| offset_bytes as usize)
    }

    fn cut(&self, len_bytes: u64) -> io::Result<()> {
        self.disk.world.lock().change("cut", &self.path, |tree, portion| {
            if portion.is_all() {
                tree.file_mut(self.node)?.cut(len_bytes as usize);
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.world.lock();
        let is_lie = world.lie == Some(Lie::FileSyncs);
        world.change("sync", &self.path, |tree, portion| {
            let content = tree.file_mut(self.node)?;
            match portion.is_all() {
                true if is_lie => {}
                true => content.sync(),
                false => content.fail_to_sync(),
            }
            Ok(())
        })
    }
}

impl LogBytes for OpenFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let world = self.disk.world.lock();
        world.check_alive()?;
        let bytes = world.tree.file(self.node)?.cached();
        let rest = &bytes[bytes.len().min(offset_bytes as usize)..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        let world = self.disk.world.lock();
        world.check_alive()?;
        Ok(world.tree.file(self.node)?.cached().len() as u64)
    }
}

/// An open file that can be held.
#[derive(Debug)]
struct OpenLock {
    file: OpenFile,
    token: u64,
}

impl OpenLock {
    fn hold(&self, is_exclusive: bool) -> io::Result<bool> {
        let mut world = self.file.disk.world.lock();
        world.check_alive()?;
        let node = self.file.node;
        let is_in_the_way = |hold: &Hold| {
            hold.node == node && hold.token != self.token && (is_exclusive || hold.is_exclusive)
        };
        if world.holds.iter().any(is_in_the_way) {
            return Ok(false);
        }
        world.holds.push(Hold { node, token: self.token, is_exclusive });
        Ok(true)
    }
}

impl LockFile for OpenLock {
    fn try_lock(&self) -> io::Result<bool> {
        self.hold(true)
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.hold(false)
    }

    fn overwrite(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.write("overwrite", bytes, |_| 0)
    }

    fn sync(&self) -> io::Result<()> {
        StoredFile::sync(&self.file)
    }
}

impl Drop for OpenLock {
    fn drop(&mut self) {
        self.file.disk.world.lock().holds.retain(|hold| hold.token != self.token);
    }
}
