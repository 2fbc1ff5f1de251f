//! A network as a graph: a line for each layer, in the order in which they run, and arcs to the left of them for what skips layers.

use super::{escaped, picture::Picture};
use std::fmt::Write;

/// A layer, or an input of the network.
pub(crate) struct Node {
    pub(crate) name: String,
    /// Words behind the name.
    pub(crate) words: String,
    /// Nodes before it whose results it reads.
    pub(crate) reads: Vec<usize>,
    /// The colour of its dot.
    pub(crate) colour: &'static str,
    /// Nodes with equal numbers are one step.
    pub(crate) step: Option<usize>,
}

/// Pixels of a line, from lane to lane at most, of all lanes at most, of a letter.
const LINE: usize = 19;
const LANE: f64 = 9.0;
const LANES: f64 = 130.0;
const LETTER: f64 = 6.8;

/// A result that is read beyond the next line: its lane, where it begins, and its readers.
struct Arc {
    lane: usize,
    from: usize,
    readers: Vec<usize>,
}

/// Arcs in lanes: the shortest are nearest to the layers, and none lies on another.
fn arcs(nodes: &[Node]) -> Vec<Arc> {
    let readers = |from: usize| {
        let far = nodes.iter().enumerate().skip(from + 2).filter(move |(_, node)| node.reads.contains(&from));
        far.map(|(i, _)| i).collect::<Vec<_>>()
    };
    let mut arcs: Vec<Arc> = (0..nodes.len())
        .map(|from| Arc { lane: 0, from, readers: readers(from) })
        .filter(|arc| !arc.readers.is_empty())
        .collect();
    arcs.sort_by_key(|arc| arc.end() - arc.from);
    for i in 0..arcs.len() {
        let (before, arc) = (&arcs[..i], &arcs[i]);
        let is_taken = |lane: usize| before.iter().any(|other| other.lane == lane && other.overlaps(arc));
        arcs[i].lane = (0..).find(|lane| !is_taken(*lane)).unwrap_or(0);
    }
    arcs
}

impl Arc {
    fn end(&self) -> usize {
        self.readers.last().copied().unwrap_or(self.from)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.from < other.end() && other.from < self.end()
    }
}

/// The graph.
pub(crate) fn graph(label: &str, nodes: &[Node]) -> Picture {
    let arcs = arcs(nodes);
    let lanes = arcs.iter().map(|arc| arc.lane + 1).max().unwrap_or(0) as f64;
    let lane = if lanes > 0.0 { LANE.min(LANES / lanes) } else { 0.0 };
    let rail = 14.0 + lane * (lanes + 1.0);
    let y = |i: usize| LINE * i + LINE / 2 + 4;
    let mut svg = String::new();
    // Steps of several layers lie on one ground.
    let mut i = 0;
    while i < nodes.len() {
        let step = nodes[i].step;
        let count = nodes[i..].iter().take_while(|node| step.is_some() && node.step == step).count().max(1);
        if count > 1 {
            let (x, top, tall) = (rail + 10.0, y(i) - LINE / 2 + 1, LINE * count - 2);
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top}\" width=\"4\" height=\"{tall}\" rx=\"2\" fill=\"#0072b2\"/>"
            );
        }
        i += count;
    }
    svg += "<g fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".55\" stroke-width=\"1.3\">";
    for (i, _) in nodes.iter().enumerate().skip(1).filter(|(i, node)| node.reads.contains(&(i - 1))) {
        let _ = write!(svg, "<path d=\"M{rail:.1} {}V{}\"/>", y(i - 1), y(i));
    }
    for arc in &arcs {
        let x = rail - lane * (arc.lane as f64 + 1.5) - 2.0;
        let _ = write!(svg, "<path d=\"M{rail:.1} {}L{x:.1} {}", y(arc.from), y(arc.from) + 6);
        let _ = write!(svg, "V{}", y(arc.end()) - 6);
        for reader in &arc.readers {
            let _ = write!(svg, "M{x:.1} {}L{rail:.1} {}", y(*reader) - 6, y(*reader));
        }
        svg += "\"/>";
    }
    svg += "</g>";
    let mut longest = 0;
    for (i, Node { name, words, colour, .. }) in nodes.iter().enumerate() {
        longest = longest.max(name.chars().count() + words.chars().count() + 2);
        let (name, words) = (escaped(name), escaped(words));
        let _ = write!(
            svg,
            "<circle cx=\"{rail:.1}\" cy=\"{}\" r=\"4.5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\" style=\"font-size: 12px\"><tspan font-weight=\"bold\">{name}</tspan>  {words}</text>",
            y(i),
            rail + 19.0,
            y(i) + 4
        );
    }
    let wide = rail + 30.0 + LETTER * longest as f64;
    Picture::new(svg, [wide as u32, (LINE * nodes.len() + 8) as u32], label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(reads: &[usize], step: usize) -> Node {
        let (name, words) = ("<n>".into(), "Conv2d".into());
        Node { name, words, reads: reads.to_vec(), colour: "#000", step: Some(step) }
    }

    #[test]
    fn arcs_that_are_there_together_have_lanes_of_their_own() {
        // 0 is read by 2 and 5, 1 by 3, 3 by 5 and 6.
        let nodes: Vec<Node> = [&[][..], &[0], &[0, 1], &[1, 2], &[3], &[0, 3, 4], &[3, 5]]
            .iter()
            .enumerate()
            .map(|(i, reads)| node(reads, i / 2))
            .collect();
        let found: Vec<(usize, usize, Vec<usize>)> =
            arcs(&nodes).into_iter().map(|arc| (arc.from, arc.lane, arc.readers)).collect();
        assert_eq!(found, [(1, 0, vec![3]), (3, 0, vec![5, 6]), (0, 1, vec![2, 5])]);
        let svg = graph("net", &nodes).inline();
        assert_eq!((svg.matches("<circle").count(), svg.matches("<rect").count()), (7, 3));
        assert!(svg.contains("&lt;n&gt;") && !svg.contains("<n>"));
    }

    #[test]
    fn a_chain_has_no_arcs() {
        let nodes = [node(&[], 0), node(&[0], 1), node(&[1], 2)];
        assert!(arcs(&nodes).is_empty());
        assert_eq!(graph("net", &nodes).inline().matches("<path").count(), 2);
    }
}
