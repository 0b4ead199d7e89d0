//! Merkle trees over BLAKE2b-256, with the arithmetic of RFC 6962.
//!
//! In: leaves, as hashes, in order. Out: a root, the path from a leaf to it, and the root that a path
//! leads to.
//!
//! Invariants:
//! * What is hashed for a leaf begins with the byte 0 and for a node with the byte 1, so that no leaf can
//!   pass for a node (RFC 6962, section 2.1). NEDB 1.x put nothing in front of either.
//! * A path that was made for a leaf leads from it to the root of the same leaves, in both shapes.

use crate::hash::{Hash, digest, digest_each};

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// How a tree is made: what stands before what is hashed, and what becomes of a node without a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// That node moves up as it is; no leaves hash to the hash of no bytes.
    Rfc6962,
    /// Nothing stands before; that node is paired with itself; no leaves hash to zeros. So did NEDB 1.x:
    /// read, never written.
    Nedb1,
}

/// On which side of the path a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before the node on the path.
    Left,
    /// After it.
    Right,
}

impl Side {
    /// Returns its letter: `L` or `R`.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Left => "L",
            Side::Right => "R",
        }
    }

    /// Reads a letter; None for any other text.
    pub fn parse(letter: &str) -> Option<Side> {
        match letter {
            "L" => Some(Side::Left),
            "R" => Some(Side::Right),
            _ => None,
        }
    }
}

/// One step from a leaf to the root: the neighbour's hash, and its side.
pub(crate) type Step = (Hash, Side);

/// Hashes the content of a leaf.
pub(crate) fn leaf_hash(content: &[u8]) -> Hash {
    leaf_hash_in(Tree::Rfc6962, content)
}

/// Hashes the contents of several leaves, as `leaf_hash` does each.
///
/// Cost: a copy of them all, and less than half of the time of one after another.
pub(crate) fn leaf_hashes(contents: &[&[u8]]) -> Vec<Hash> {
    let content_bytes: usize = contents.iter().map(|content| content.len()).sum();
    let mut texts = Vec::with_capacity(content_bytes + contents.len());
    let mut ends = Vec::with_capacity(contents.len());
    for content in contents {
        texts.push(LEAF_PREFIX);
        texts.extend_from_slice(content);
        ends.push(texts.len());
    }
    let mut start = 0;
    digest_each(ends.into_iter().map(|end| {
        let text = texts.get(start..end).unwrap_or_default();
        start = end;
        text
    }))
}

/// Hashes the content of a leaf of a tree.
pub(crate) fn leaf_hash_in(tree: Tree, content: &[u8]) -> Hash {
    match tree {
        Tree::Rfc6962 => digest(&[&[LEAF_PREFIX], content]),
        Tree::Nedb1 => digest(&[content]),
    }
}

fn node_hash(tree: Tree, left: &Hash, right: &Hash) -> Hash {
    match tree {
        Tree::Rfc6962 => digest(&[&[NODE_PREFIX], left, right]),
        Tree::Nedb1 => digest(&[left, right]),
    }
}

/// Returns the root of leaves in order.
///
/// Cost: one hash for each leaf.
pub(crate) fn root(tree: Tree, leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(tree, &level);
    }
    match (level.first(), tree) {
        (Some(root), _) => *root,
        (None, Tree::Rfc6962) => digest(&[]),
        (None, Tree::Nedb1) => [0; 32],
    }
}

/// Returns the path from a leaf to the root, nearest neighbour first; None where there is no such leaf.
pub(crate) fn path(tree: Tree, leaves: &[Hash], leaf: usize) -> Option<Vec<Step>> {
    leaves.get(leaf)?;
    let mut path = Vec::new();
    let mut at = leaf;
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let neighbour = level.get(at ^ 1).map(|hash| (*hash, side_of(at ^ 1)));
        let own = || level.get(at).map(|hash| (*hash, Side::Right));
        match tree {
            Tree::Rfc6962 => path.extend(neighbour),
            Tree::Nedb1 => path.extend(neighbour.or_else(own)),
        }
        level = above(tree, &level);
        at /= 2;
    }
    Some(path)
}

/// Returns the root that a path leads to from a leaf.
pub(crate) fn root_of_path(tree: Tree, leaf: &Hash, path: &[Step]) -> Hash {
    path.iter().fold(*leaf, |node, (neighbour, side)| match side {
        Side::Left => node_hash(tree, neighbour, &node),
        Side::Right => node_hash(tree, &node, neighbour),
    })
}

fn above(tree: Tree, level: &[Hash]) -> Vec<Hash> {
    let parent = |pair: &[Hash]| match (pair, tree) {
        ([left, right], _) => node_hash(tree, left, right),
        ([alone], Tree::Nedb1) => node_hash(tree, alone, alone),
        // A chunk of two is never empty.
        ([alone, ..], _) => *alone,
        ([], _) => [0; 32],
    };
    level.chunks(2).map(parent).collect()
}

fn side_of(place: usize) -> Side {
    if place.is_multiple_of(2) { Side::Left } else { Side::Right }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::to_hex;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&[n])).collect()
    }

    /// The definition of RFC 6962, section 2.1, word by word.
    fn recursive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => digest(&[b""]),
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(k);
                node_hash(Tree::Rfc6962, &recursive_root(left), &recursive_root(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        for count in 0..70 {
            let leaves = leaves(count);
            assert_eq!(root(Tree::Rfc6962, &leaves), recursive_root(&leaves), "{count} leaves");
        }
    }

    #[test]
    fn the_trees_differ_but_for_a_single_leaf() {
        for count in 0..40_u8 {
            let leaves = leaves(count);
            let is_same = root(Tree::Rfc6962, &leaves) == root(Tree::Nedb1, &leaves);
            assert_eq!(is_same, count == 1, "{count} leaves");
        }
    }

    #[test]
    fn every_path_leads_to_the_root_and_from_no_other_leaf() {
        for tree in [Tree::Rfc6962, Tree::Nedb1] {
            for count in 1..34 {
                let leaves = leaves(count);
                let root = root(tree, &leaves);
                for (at, leaf) in leaves.iter().enumerate() {
                    let path = path(tree, &leaves, at).unwrap();
                    assert_eq!(root_of_path(tree, leaf, &path), root, "leaf {at} of {count}");
                    assert_ne!(root_of_path(tree, &leaf_hash(b"other"), &path), root);
                }
                assert_eq!(path(tree, &leaves, leaves.len()), None);
            }
        }
    }

    #[test]
    fn a_leaf_is_hashed_behind_a_zero_byte_and_that_of_nedb_1_as_it_is() {
        let plain: Hash = digest(&[b"\0x"]);
        assert_eq!(leaf_hash(b"x"), plain);
        // The root of a file of one byte, "x", as NEDB 1.2.2 wrote it into its log.
        let root = "d161d71145abeec5ef15abcf0459cec60a27321e2f0ac0ef7ace5254f5944476";
        assert_eq!(to_hex(&leaf_hash_in(Tree::Nedb1, b"x")), root);
        assert_eq!(to_hex(&super::root(Tree::Nedb1, &[])), crate::hash::ZERO_HASH);
    }
}
