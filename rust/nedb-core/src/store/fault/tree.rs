//! Directories and files, and which names of them are on the disk.
//!
//! Invariants:
//! * A node is never taken away: a file without a name lives on for whoever has it open.

use super::content::Content;
use super::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

/// The number of a file or a directory.
pub(super) type NodeId = usize;

/// The directory that everything is in.
const ROOT: NodeId = 0;
/// So many changes of names or fewer are kept and lost in every combination, more in a sample of them.
const SUBSETS_OF_NAMES_MAX: usize = 4;
const SAMPLE_COUNT: usize = 12;

/// The names in a directory.
pub(super) type Names = BTreeMap<String, NodeId>;

/// A change of names that is not synced.
#[derive(Clone, Debug)]
enum NameChange {
    Add { name: String, node: NodeId },
    Remove { name: String },
    Rename { from: String, to: String, node: NodeId },
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Content),
    Directory(Directory),
}

/// The names in one directory: those on the disk, and those in the cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    durable: Names,
    changes: Vec<NameChange>,
    pub cached: Names,
}

/// All there is.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Makes an empty root.
    pub fn new() -> Self {
        Tree { nodes: vec![Node::Directory(Directory::default())] }
    }

    /// Finds what is under a path.
    pub fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for name in names_of(path) {
            node = *self.directory(node)?.cached.get(&name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// Finds the directory that a path is in, and the last name of the path.
    pub fn find_parent(&self, path: &Path) -> io::Result<(NodeId, String)> {
        let mut names = names_of(path);
        let name = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let mut node = ROOT;
        for name in names {
            node = *self.directory(node)?.cached.get(&name).ok_or(io::ErrorKind::NotFound)?;
        }
        self.directory(node)?;
        Ok((node, name))
    }

    pub fn directory(&self, node: NodeId) -> io::Result<&Directory> {
        match &self.nodes[node] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn directory_mut(&mut self, node: NodeId) -> io::Result<&mut Directory> {
        match &mut self.nodes[node] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub fn file(&self, node: NodeId) -> io::Result<&Content> {
        match &self.nodes[node] {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub fn file_mut(&mut self, node: NodeId) -> io::Result<&mut Content> {
        match &mut self.nodes[node] {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Adds a node under a path that is free.
    pub fn add(&mut self, path: &Path, node: Node) -> io::Result<NodeId> {
        let (parent, name) = self.find_parent(path)?;
        if self.directory(parent)?.cached.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(node);
        let node = self.nodes.len() - 1;
        self.directory_mut(parent)?.change(NameChange::Add { name, node });
        Ok(node)
    }

    /// Takes a name away.
    pub fn remove(&mut self, path: &Path, is_directory: bool) -> io::Result<()> {
        let (parent, name) = self.find_parent(path)?;
        match &self.nodes[self.find(path)?] {
            Node::File(_) if is_directory => return Err(io::ErrorKind::NotADirectory.into()),
            Node::Directory(_) if !is_directory => return Err(io::ErrorKind::IsADirectory.into()),
            Node::Directory(directory) if !directory.cached.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        self.directory_mut(parent)?.change(NameChange::Remove { name });
        Ok(())
    }

    /// Gives what is under a path another name in the same directory.
    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let ((from_parent, from), (parent, to)) = (self.find_parent(from)?, self.find_parent(to)?);
        if from_parent != parent {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a renaming from one directory to another is not simulated",
            ));
        }
        self.directory_mut(parent)?.change(NameChange::Rename { from, to, node });
        Ok(())
    }

    /// Puts the names of a directory on the disk.
    pub fn sync_directory(&mut self, node: NodeId) -> io::Result<()> {
        let directory = self.directory_mut(node)?;
        directory.changes.clear();
        directory.durable = directory.cached.clone();
        Ok(())
    }

    /// Returns the whole tree as it stands under these names and with these bytes, on the disk.
    pub fn with(
        &self,
        names: &dyn Fn(NodeId) -> Option<Names>,
        bytes: &dyn Fn(NodeId) -> Option<Vec<u8>>,
    ) -> Tree {
        let durable = |(id, node): (NodeId, &Node)| match node {
            Node::File(content) => {
                Node::File(Content::durable(bytes(id).unwrap_or_else(|| content.cached().to_vec())))
            }
            Node::Directory(directory) => {
                let names = names(id).unwrap_or_else(|| directory.cached.clone());
                Node::Directory(Directory {
                    durable: names.clone(),
                    cached: names,
                    changes: Vec::new(),
                })
            }
        };
        Tree { nodes: self.nodes.iter().enumerate().map(durable).collect() }
    }

    /// Returns everything that can be reached: path and bytes, directories with None.
    pub fn listing(&self) -> Vec<(String, Option<&[u8]>)> {
        let mut found = Vec::new();
        let mut pending = vec![(String::new(), ROOT)];
        while let Some((path, node)) = pending.pop() {
            match &self.nodes[node] {
                Node::File(content) => found.push((path, Some(content.cached()))),
                Node::Directory(directory) => {
                    let children = directory.cached.iter();
                    pending.extend(children.map(|(name, node)| (format!("{path}/{name}"), *node)));
                    found.push((path, None));
                }
            }
        }
        found.sort();
        found
    }
}

impl Directory {
    fn change(&mut self, change: NameChange) {
        apply(&mut self.cached, &change);
        self.changes.push(change);
    }

    /// Returns the names that a crash may leave, the first ones those before any change, the second ones
    /// those after all.
    pub fn after_a_crash(&self, random: &mut Random) -> Vec<Names> {
        let count = self.changes.len();
        if count == 0 {
            return vec![self.durable.clone()];
        }
        let mut rest = BTreeSet::new();
        let mut keep = |is_kept: &mut dyn FnMut(usize) -> bool| {
            let mut names = self.durable.clone();
            for (number, change) in self.changes.iter().enumerate() {
                if is_kept(number) {
                    apply(&mut names, change);
                }
            }
            rest.insert(names);
        };
        if count <= SUBSETS_OF_NAMES_MAX {
            (0..1_usize << count).for_each(|kept| keep(&mut |number| kept >> number & 1 == 1));
        } else {
            (1..count).for_each(|end| keep(&mut |number| number < end));
            (0..SAMPLE_COUNT).for_each(|_| keep(&mut |_| random.flip()));
        }
        rest.remove(&self.durable);
        rest.remove(&self.cached);
        let first = [self.durable.clone(), self.cached.clone()];
        first.into_iter().chain(rest).collect()
    }
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add { name, node } => {
            names.insert(name.clone(), *node);
        }
        NameChange::Remove { name } => {
            names.remove(name);
        }
        NameChange::Rename { from, to, node } => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
    }
}

fn names_of(path: &Path) -> Vec<String> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}
