//! Who has which examples of a labelled set: the ways of the literature to make nodes alike, or unlike.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, Gamma};

/// How a set is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Partition {
    /// Shuffled and dealt out, equally many to each node up to one.
    Iid,
    /// Sorted by class and cut into two pieces a node, of which each gets two at random (McMahan et al. 2017, section 3).
    Shards,
    /// Equally many to each node, of classes in proportions that are drawn for it from a Dirichlet distribution around
    /// those of the set (Hsu, Qi and Brown 2019, section 3): the smaller `alpha`, the fewer classes a node has.
    Dirichlet {
        /// `α`
        alpha: f64,
    },
}

/// A set that cannot be divided so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// Fewer examples than nodes, or than their shards.
    #[error("{examples} examples are too few for {nodes} nodes: there must be at least {needed}")]
    TooFew {
        /// In the set.
        examples: usize,
        /// As wanted.
        nodes: usize,
        /// For as many nodes.
        needed: usize,
    },
    /// No distribution has this parameter.
    #[error("alpha is {0}: it must be a positive number")]
    Alpha(f64),
}

impl Partition {
    /// The examples of each node by their places in the set, whose classes these are.
    ///
    /// # Errors
    ///
    /// [`PartitionError`] says what there is too little of.
    pub fn divide(self, labels: &[u32], nodes: usize, seed: u64) -> Result<Vec<Vec<u32>>, PartitionError> {
        let pieces = if self == Self::Shards { nodes.saturating_mul(2) } else { nodes };
        if nodes == 0 || labels.len() < pieces {
            let (examples, needed) = (labels.len(), pieces.max(1));
            return Err(PartitionError::TooFew { examples, nodes, needed });
        }
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut all: Vec<u32> = (0..labels.len() as u32).collect();
        all.shuffle(&mut random);
        match self {
            Self::Iid => Ok(cut(&all, nodes).map(<[u32]>::to_vec).collect()),
            Self::Shards => {
                all.sort_by_key(|index| labels[*index as usize]);
                let mut shards: Vec<&[u32]> = cut(&all, pieces).collect();
                shards.shuffle(&mut random);
                Ok(shards.chunks_exact(2).map(<[&[u32]]>::concat).collect())
            }
            Self::Dirichlet { alpha } => dirichlet(&all, labels, nodes, alpha, &mut random),
        }
    }
}

/// Pieces of equal length up to one.
fn cut(all: &[u32], pieces: usize) -> impl Iterator<Item = &[u32]> {
    let place = move |piece: usize| piece * all.len() / pieces;
    (0..pieces).map(move |piece| &all[place(piece)..place(piece + 1)])
}

fn dirichlet(
    all: &[u32],
    labels: &[u32],
    nodes: usize,
    alpha: f64,
    random: &mut ChaCha20Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(PartitionError::Alpha(alpha));
    }
    // What is left of each class.
    let mut left: Vec<Vec<u32>> = vec![Vec::new(); labels.iter().max().map_or(0, |most| *most as usize + 1)];
    for index in all {
        left[labels[*index as usize] as usize].push(*index);
    }
    let shapes: Vec<f64> = left.iter().map(|class| alpha * class.len() as f64 / all.len() as f64).collect();
    let mut node = || {
        let proportions = proportions(&shapes, random);
        (0..all.len() / nodes).filter_map(|_| take(&mut left, &proportions, random)).collect()
    };
    Ok((0..nodes).map(|_| node()).collect())
}

/// A draw from a Dirichlet distribution, relative to its largest part; a class of shape 0 has none. In logarithms, because
/// with a small shape `a` most parts are smaller than any number: a draw of shape `a` is one of `a + 1` times the `a`-th
/// root of a uniform one (Marsaglia and Tsang 2000, section 6).
fn proportions(shapes: &[f64], random: &mut ChaCha20Rng) -> Vec<f64> {
    let mut logarithm = |shape: &f64| match Gamma::new(shape + 1.0, 1.0) {
        Ok(gamma) if *shape > 0.0 => gamma.sample(random).ln() + (1.0 - random.random::<f64>()).ln() / shape,
        _ => f64::NEG_INFINITY,
    };
    let parts: Vec<f64> = shapes.iter().map(&mut logarithm).collect();
    let largest = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    parts.into_iter().map(|part| (part - largest).exp()).collect()
}

/// An example of a class drawn in these proportions, of those that are not used up.
fn take(left: &mut [Vec<u32>], proportions: &[f64], random: &mut ChaCha20Rng) -> Option<u32> {
    let open = |weight: fn(f64) -> f64| {
        let weights = left.iter().zip(proportions);
        weights.map(|(class, part)| if class.is_empty() { 0.0 } else { weight(*part) }).collect::<Vec<f64>>()
    };
    let mut weights = open(|part| part);
    if weights.iter().sum::<f64>() <= 0.0 {
        // Only classes are left of which the node was to have next to nothing.
        weights = open(|_| 1.0);
    }
    let mut at = random.random::<f64>() * weights.iter().sum::<f64>();
    let drawn = weights.iter().position(|weight| {
        at -= weight;
        *weight > 0.0 && at < 0.0
    });
    // Rounding may leave the last one.
    let class = drawn.or_else(|| weights.iter().rposition(|weight| *weight > 0.0))?;
    left[class].pop()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(count: usize, classes: u32) -> Vec<u32> {
        (0..count as u32).map(|index| index * 7 % classes).collect()
    }

    /// The mean over the nodes of the share that a node's most frequent class has.
    fn skew(partition: Partition) -> f64 {
        let labels = labels(10_000, 10);
        let nodes = partition.divide(&labels, 50, 3).unwrap();
        let share = |node: &Vec<u32>| {
            let mut counts = [0; 10];
            for index in node {
                counts[labels[*index as usize] as usize] += 1;
            }
            f64::from(counts.into_iter().max().unwrap()) / node.len() as f64
        };
        nodes.iter().map(share).sum::<f64>() / nodes.len() as f64
    }

    proptest! {
        #[test]
        fn every_example_belongs_to_one_node(count in 40_usize..400, nodes in 1_usize..20, seed: u64) {
            let labels = labels(count, 5);
            for partition in [Partition::Iid, Partition::Shards] {
                let divided = partition.divide(&labels, nodes, seed).unwrap();
                prop_assert_eq!(divided.len(), nodes);
                let sizes: Vec<usize> = divided.iter().map(Vec::len).collect();
                prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 2);
                let mut all = divided.concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..count as u32).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_example_belongs_to_two_nodes(count in 40_usize..400, nodes in 1_usize..20, seed: u64, alpha in 0.001_f64..100.0) {
            let divided = Partition::Dirichlet { alpha }.divide(&labels(count, 5), nodes, seed).unwrap();
            prop_assert!(divided.iter().all(|node| node.len() == count / nodes));
            let mut all = divided.concat();
            all.sort_unstable();
            prop_assert!(all.is_sorted_by(|one, next| one < next));
        }
    }

    #[test]
    fn the_smaller_alpha_the_fewer_classes_a_node_has() {
        let skews = [1000.0, 10.0, 1.0, 0.1].map(|alpha| skew(Partition::Dirichlet { alpha }));
        assert!(skews.is_sorted(), "{skews:?}");
        assert!(skews[0] < 0.2 && skews[3] > 0.7, "{skews:?}");
        assert!(skew(Partition::Iid) < 0.2);
        assert!((0.5..=1.0).contains(&skew(Partition::Shards)));
    }

    #[test]
    fn the_same_seed_divides_alike_and_another_seed_otherwise() {
        let labels = labels(300, 10);
        for partition in [Partition::Iid, Partition::Shards, Partition::Dirichlet { alpha: 0.5 }] {
            let divide = |seed| partition.divide(&labels, 10, seed).unwrap();
            assert_eq!(divide(1), divide(1));
            assert_ne!(divide(1), divide(2));
        }
    }

    #[test]
    fn what_cannot_be_divided_is_refused() {
        let error = Partition::Shards.divide(&labels(19, 2), 10, 1).unwrap_err();
        assert_eq!(error, PartitionError::TooFew { examples: 19, nodes: 10, needed: 20 });
        assert!(Partition::Iid.divide(&[], 0, 1).is_err());
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = Partition::Dirichlet { alpha }.divide(&labels(20, 2), 2, 1);
            assert!(matches!(refused, Err(PartitionError::Alpha(_))), "{alpha}");
        }
    }
}
