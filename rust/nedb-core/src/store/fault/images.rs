//! The disks that a crash may leave.
//!
//! In: a tree with what is not synced. Out: trees in which everything is.
//!
//! Every file and every directory with something unsynced is one axis. A few short axes are walked in every
//! combination; of more, each is walked alone, between nothing and everything kept of the others,
//! and a sample of combinations is drawn from a seed.

use super::disk::FaultDisk;
use super::random::Random;
use super::tree::{Names, Node, NodeId, Tree};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many combinations or fewer are all there are.
const COMBINATIONS_MAX: usize = 32;
const SAMPLE_COUNT: usize = 16;

/// A disk that a crash has left.
#[derive(Debug)]
pub(crate) struct Image {
    pub disk: FaultDisk,
    /// Which one it is, so that a failing one is found again.
    pub name: String,
    /// A hash of all names and bytes: equal disks have equal ones.
    pub fingerprint: u64,
}

/// What may have become of one file or directory.
enum Axis {
    File(NodeId, Vec<Vec<u8>>),
    Directory(NodeId, Vec<Names>),
}

impl Axis {
    fn len(&self) -> usize {
        match self {
            Axis::File(_, left) => left.len(),
            Axis::Directory(_, left) => left.len(),
        }
    }
}

/// Returns disks that a crash may leave, distinct ones, the first one with nothing unsynced kept and the
/// last with everything.
pub(super) fn images(tree: &Tree, seed: u64) -> Vec<Image> {
    let mut random = Random::new(seed);
    let axes: Vec<Axis> = tree
        .nodes
        .iter()
        .enumerate()
        .map(|(id, node)| match node {
            Node::File(content) => Axis::File(id, content.after_a_crash(&mut random)),
            Node::Directory(names) => Axis::Directory(id, names.after_a_crash(&mut random)),
        })
        .filter(|axis| axis.len() > 1)
        .collect();
    let mut seen = BTreeSet::new();
    let mut images = Vec::new();
    for choice in choices(&axes, &mut random) {
        let left = pick(tree, &axes, &choice);
        let fingerprint = fingerprint(&left);
        if seen.insert(fingerprint) {
            let name = format!("image {choice:?} of seed {seed}");
            images.push(Image { disk: FaultDisk::from_tree(left), name, fingerprint });
        }
    }
    images
}

fn fingerprint(tree: &Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    tree.listing().hash(&mut hasher);
    hasher.finish()
}

/// Returns which variant of each axis is taken, for each image.
fn choices(axes: &[Axis], random: &mut Random) -> Vec<Vec<usize>> {
    let combinations = axes.iter().try_fold(1_usize, |product, axis| {
        product.checked_mul(axis.len()).filter(|product| *product <= COMBINATIONS_MAX)
    });
    let all_lost = vec![0; axes.len()];
    let all_kept = vec![1; axes.len()];
    let mut choices = vec![all_lost.clone()];
    match combinations {
        Some(count) => choices.extend((0..count).map(|number| digits(number, axes))),
        None => {
            for (at, axis) in axes.iter().enumerate() {
                for variant in 0..axis.len() {
                    for others in [&all_lost, &all_kept] {
                        let mut choice = others.clone();
                        choice[at] = variant;
                        choices.push(choice);
                    }
                }
            }
            let drawn = |_| axes.iter().map(|axis| random.below(axis.len())).collect();
            choices.extend((0..SAMPLE_COUNT).map(drawn).collect::<Vec<_>>());
        }
    }
    choices.retain(|choice| *choice != all_kept);
    choices.push(all_kept);
    choices
}

/// Returns a number written with the lengths of the axes as bases.
fn digits(mut number: usize, axes: &[Axis]) -> Vec<usize> {
    let digit = |axis: &Axis| {
        let digit = number % axis.len();
        number /= axis.len();
        digit
    };
    axes.iter().map(digit).collect()
}

fn pick(tree: &Tree, axes: &[Axis], choice: &[usize]) -> Tree {
    let picked = || axes.iter().zip(choice);
    let names = |id: NodeId| {
        picked().find_map(|(axis, variant)| match axis {
            Axis::Directory(of, left) if *of == id => Some(left[*variant].clone()),
            _ => None,
        })
    };
    let bytes = |id: NodeId| {
        picked().find_map(|(axis, variant)| match axis {
            Axis::File(of, left) if *of == id => Some(left[*variant].clone()),
            _ => None,
        })
    };
    tree.with(&names, &bytes)
}
