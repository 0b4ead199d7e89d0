//! Edges between nodes, with the ops that began and ended them.
//!
//! In: links and unlinks, in order. Out: the neighbours of a node at a seq, in the order linked.
//!
//! Invariants:
//! * At any seq there is at most one live edge from one node to another along one relation.
//! * An edge is live at n when added ≤ n < removed.

use super::codec::{Malformed, Reader, Writer};
use super::ids::NO_END;
use super::live_list::LiveList;
use super::names::Names;
use super::pieces::{Comparison, cost, keyed, numbered, within};
use crate::op::Seq;
use rustc_hash::FxHashMap;

/// What a saved edge is at least: two nodes, a relation, its beginning and its end.
const EDGE_BYTES_MIN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    from: u32,
    to: u32,
    added_seq: Seq,
    removed_seq: Seq,
}

/// The edges of one node along one relation in one direction.
#[derive(Debug, Default, PartialEq)]
struct Bundle {
    all: Vec<u32>,
    live: LiveList,
}

/// The edges of each node along each relation.
type Bundles = FxHashMap<(u32, u32), Bundle>;

/// All edges.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Relations {
    nodes: Names,
    names: Names,
    edges: Vec<Edge>,
    outgoing: Bundles,
    incoming: Bundles,
    /// The live edge of (from, relation, to).
    current: FxHashMap<(u32, u32, u32), u32>,
}

impl Relations {
    /// Adds an edge; one that is there keeps its place.
    pub fn link(&mut self, from: &str, relation: &str, to: &str, seq: Seq) {
        let (from, to) = (self.nodes.add(from), self.nodes.add(to));
        let relation = self.names.add(relation);
        if self.current.contains_key(&(from, relation, to)) {
            return;
        }
        let edge = self.edges.len() as u32;
        self.edges.push(Edge { from, to, added_seq: seq, removed_seq: NO_END });
        self.current.insert((from, relation, to), edge);
        for bundle in [
            self.outgoing.entry((from, relation)).or_default(),
            self.incoming.entry((to, relation)).or_default(),
        ] {
            bundle.all.push(edge);
            bundle.live.push(edge);
        }
    }

    /// Ends an edge; one that is not there stays so.
    pub fn unlink(&mut self, from: &str, relation: &str, to: &str, seq: Seq) {
        let (Some(from), Some(relation), Some(to)) =
            (self.nodes.find(from), self.names.find(relation), self.nodes.find(to))
        else {
            return;
        };
        let Some(edge) = self.current.remove(&(from, relation, to)) else { return };
        if let Some(edge) = self.edges.get_mut(edge as usize) {
            edge.removed_seq = seq;
        }
        let edges = &self.edges;
        let is_live =
            |edge: u32| edges.get(edge as usize).is_some_and(|edge| edge.removed_seq == NO_END);
        let outgoing = self.outgoing.get_mut(&(from, relation));
        let incoming = self.incoming.get_mut(&(to, relation));
        for bundle in outgoing.into_iter().chain(incoming) {
            bundle.live.bury_one(is_live);
        }
    }

    /// Returns the nodes that edges lead to from a node; `is_head` says that nothing came after `seq`.
    pub fn neighbors(
        &self,
        (node, relation): (&str, &str),
        at: (Seq, bool),
        first: u32,
    ) -> impl Iterator<Item = (u32, &str)> {
        self.ends(&self.outgoing, (node, relation), at, first, |edge| edge.to)
    }

    /// Returns the nodes from which edges lead to a node.
    pub fn inbound(
        &self,
        (node, relation): (&str, &str),
        at: (Seq, bool),
        first: u32,
    ) -> impl Iterator<Item = (u32, &str)> {
        self.ends(&self.incoming, (node, relation), at, first, |edge| edge.from)
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons(&self) -> Vec<Comparison<Relations>> {
        let mut all = within(|it: &Relations| &it.nodes, vec![Names::comparison()]);
        all.extend(within(|it: &Relations| &it.names, vec![Names::comparison()]));
        all.push(numbered(
            |it: &Relations| it.edges.len(),
            |mine, theirs, at| cost(mine.edges.get(at) == theirs.edges.get(at), 0),
        ));
        let bundles: [fn(&Relations) -> &Bundles; 2] = [|it| &it.outgoing, |it| &it.incoming];
        all.extend(bundles.map(|of| {
            keyed(
                of(self).keys().copied().collect(),
                move |it| of(it).len(),
                move |mine, theirs, key: &(u32, u32)| {
                    let bundle = of(mine).get(key);
                    let edge_count = bundle.map_or(0, |bundle| bundle.all.len());
                    cost(bundle == of(theirs).get(key), edge_count)
                },
            )
        }));
        all.push(keyed(
            self.current.keys().copied().collect(),
            |it: &Relations| it.current.len(),
            |mine, theirs, key| cost(mine.current.get(key) == theirs.current.get(key), 0),
        ));
        all
    }

    /// Appends all edges, in the order in which they were linked; the rest follows from them.
    pub fn encode(&self, out: &mut Writer) {
        self.nodes.encode(out);
        self.names.encode(out);
        let mut relations = vec![0_u32; self.edges.len()];
        for ((_, relation), bundle) in &self.outgoing {
            for edge in &bundle.all {
                if let Some(place) = relations.get_mut(*edge as usize) {
                    *place = *relation;
                }
            }
        }
        out.count(self.edges.len());
        let mut last_seq = 0;
        for (edge, relation) in self.edges.iter().zip(relations) {
            for number in [edge.from, relation, edge.to] {
                out.unsigned(number.into());
            }
            out.rise(last_seq, edge.added_seq);
            last_seq = edge.added_seq;
            // 0 says that it has not ended, since an edge ends at its own seq at the earliest.
            let lasted = edge.removed_seq - edge.added_seq;
            out.unsigned(if edge.removed_seq == NO_END { 0 } else { lasted as u64 + 1 });
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(input: &mut Reader<'_>, last_seq: Seq) -> Result<Relations, Malformed> {
        let (nodes, names) = (Names::decode(input)?, Names::decode(input)?);
        let count = input.count(EDGE_BYTES_MIN)?;
        let mut loaded = Relations { nodes, names, ..Relations::default() };
        loaded.edges.reserve_exact(count);
        let mut added_seq = 0;
        for _ in 0..count {
            let (from, relation, to) = (input.small()?, input.small()?, input.small()?);
            added_seq = input.rise(added_seq, last_seq)?;
            let lasted = input.unsigned()?;
            let removed_seq = match lasted.checked_sub(1).map(i64::try_from) {
                None => Some(NO_END),
                Some(lasted) => lasted.ok().and_then(|lasted| added_seq.checked_add(lasted)),
            };
            let removed_seq = removed_seq.filter(|seq| *seq <= last_seq || *seq == NO_END);
            let removed_seq = removed_seq.ok_or(Malformed("an edge ends after the last op"))?;
            loaded.take(relation, Edge { from, to, added_seq, removed_seq })?;
        }
        loaded.finish();
        Ok(loaded)
    }

    /// Takes the next saved edge in.
    fn take(&mut self, relation: u32, edge: Edge) -> Result<(), Malformed> {
        let node_count = self.nodes.count();
        if edge.from >= node_count || edge.to >= node_count || relation >= self.names.count() {
            return Err(Malformed("an edge has no such end"));
        }
        let number = self.edges.len() as u32;
        if let Some(before) = self.current.insert((edge.from, relation, edge.to), number) {
            let before = self.edges.get(before as usize);
            if before.is_none_or(|before| before.removed_seq > edge.added_seq) {
                return Err(Malformed("two edges of one kind are there at once"));
            }
        }
        self.edges.push(edge);
        self.outgoing.entry((edge.from, relation)).or_default().all.push(number);
        self.incoming.entry((edge.to, relation)).or_default().all.push(number);
        Ok(())
    }

    /// Makes what follows from the edges.
    fn finish(&mut self) {
        let Relations { edges, outgoing, incoming, current, .. } = self;
        let is_live =
            |edge: &u32| edges.get(*edge as usize).is_some_and(|edge| edge.removed_seq == NO_END);
        current.retain(|_, edge| is_live(edge));
        for bundle in outgoing.values_mut().chain(incoming.values_mut()) {
            bundle.all.shrink_to_fit();
            bundle.live =
                LiveList::of_living(bundle.all.iter().copied().filter(|it| is_live(it)).collect());
        }
    }

    fn ends<'r>(
        &'r self,
        bundles: &'r Bundles,
        (node, relation): (&str, &str),
        (seq, is_head): (Seq, bool),
        first: u32,
        end: impl Fn(&Edge) -> u32,
    ) -> impl Iterator<Item = (u32, &'r str)> {
        let bundle = self
            .nodes
            .find(node)
            .zip(self.names.find(relation))
            .and_then(|(node, relation)| bundles.get(&(node, relation)));
        let edges = match bundle {
            None => &[],
            Some(bundle) if is_head => bundle.live.from(first),
            Some(bundle) => {
                let start = bundle.all.partition_point(|edge| *edge < first);
                bundle.all.get(start..).unwrap_or_default()
            }
        };
        edges
            .iter()
            .filter_map(|number| Some((*number, self.edges.get(*number as usize)?)))
            .filter(move |(_, edge)| edge.added_seq <= seq && seq < edge.removed_seq)
            .map(move |(number, edge)| (number, self.nodes.text(end(edge))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_link_keeps_its_place_and_a_new_one_moves_to_the_end() {
        let mut relations = Relations::default();
        relations.link("u:a", "f", "u:b", 0);
        relations.link("u:a", "f", "u:c", 1);
        relations.link("u:a", "f", "u:b", 2);
        assert!(
            relations
                .neighbors(("u:a", "f"), (2, true), 0)
                .map(|(_, node)| node)
                .eq(["u:b", "u:c"])
        );
        relations.unlink("u:a", "f", "u:b", 3);
        relations.link("u:a", "f", "u:b", 4);
        assert!(
            relations
                .neighbors(("u:a", "f"), (4, true), 0)
                .map(|(_, node)| node)
                .eq(["u:c", "u:b"])
        );
        assert!(relations.neighbors(("u:a", "f"), (3, false), 0).map(|(_, node)| node).eq(["u:c"]));
        assert!(
            relations
                .neighbors(("u:a", "f"), (2, false), 0)
                .map(|(_, node)| node)
                .eq(["u:b", "u:c"])
        );
        assert!(relations.inbound(("u:b", "f"), (4, true), 0).map(|(_, node)| node).eq(["u:a"]));
        assert_eq!(relations.inbound(("u:b", "f"), (3, false), 0).count(), 0);
    }
}
