//! The memory of a board that a program takes, and the error where that is too much.

use super::{Board, Kind, peak_memory};
use crate::{Error, Result, program::Program};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap};

/// The use of a board's memories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The board.
    pub board: String,
    /// In the board's order.
    pub memories: Vec<MemoryUse>,
}

/// One memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Its name.
    pub name: String,
    /// Flash or RAM.
    #[serde(skip)]
    pub kind: Kind,
    /// Its bytes.
    pub available: u64,
    /// Bytes in use.
    pub used: u64,
    /// By part.
    pub parts: Vec<Part>,
}

/// Something that takes memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `code`, `weights`, `tables`, `arena`, `stack`, `input and output`, …
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u64,
}

impl Usage {
    /// Nothing in any memory.
    pub(super) fn empty(board: &Board) -> Self {
        let memories = board.memory.iter().map(|m| MemoryUse {
            name: m.name.clone(),
            kind: m.kind,
            available: m.length.0,
            used: 0,
            parts: vec![],
        });
        Self { board: board.name.clone(), memories: memories.collect() }
    }

    /// Adds `bytes` to a part of a memory of the board.
    pub(super) fn add(&mut self, memory: &str, name: &'static str, bytes: u64) {
        let Some(found) = self.memories.iter_mut().find(|m| m.name == memory).filter(|_| bytes > 0) else {
            return;
        };
        found.used += bytes;
        match found.parts.iter_mut().find(|p| p.name == name) {
            Some(part) => part.bytes += bytes,
            None => found.parts.push(Part { name, bytes }),
        }
    }

    /// Whether nothing is too large.
    pub fn fits(&self) -> bool {
        self.memories.iter().all(|m| m.over() == 0)
    }
}

impl MemoryUse {
    /// Bytes that do not fit.
    pub fn over(&self) -> u64 {
        self.used.saturating_sub(self.available)
    }
}

/// The memory that `program` will take: its constants, arena, inputs and outputs, and the board's reserves for code and stack.
/// `table_bytes` are tables that the generated source holds beside the constants.
pub fn usage(program: &Program, board: &Board, table_bytes: usize) -> Usage {
    let mut usage = Usage::empty(board);
    let place = &board.place;
    let ends = program.inputs.iter().chain(&program.outputs);
    let io: usize = ends.map(|id| program.tensor(*id).bytes()).sum();
    usage.add(&place.weights, "weights", program.constant_bytes() as u64);
    usage.add(&place.code, "code", board.reserve.code.0);
    usage.add(&place.code, "tables", table_bytes as u64);
    usage.add(&place.arena, "arena", program.plan.arena_bytes as u64);
    usage.add(&place.stack, "stack", board.reserve.stack.0);
    if let (Some(hot), Some(bytes)) = (&place.hot, &board.reserve.hot) {
        usage.add(hot, "code", bytes.0);
    }
    usage.add(place.io.as_deref().unwrap_or(&place.arena), "input and output", io as u64);
    usage
}

/// Whether `program` fits `board`.
///
/// # Errors
/// The bytes that are missing, by memory, with the heaviest layers and the step at the peak.
pub fn check(program: &Program, board: &Board, table_bytes: usize) -> Result<()> {
    let usage = usage(program, board, table_bytes);
    if usage.fits() {
        return Ok(());
    }
    let mut text = format!("{}: does not fit board `{}`", program.metadata.network, board.name);
    for memory in usage.memories.iter().filter(|m| m.over() > 0) {
        let parts: Vec<String> = memory.parts.iter().map(|p| format!("{} {}", p.name, p.bytes)).collect();
        text += &format!(
            "\n  {}: {} bytes too many, {} of {} ({})",
            memory.name,
            memory.over(),
            memory.used,
            memory.available,
            parts.join(", ")
        );
        let holds = |part: &str| memory.parts.iter().any(|p| p.name == part);
        if holds("weights") {
            text += &format!("\n    heaviest layers: {}", heaviest(program).join(", "));
        }
        if let Some(peak) = peak_memory(program).filter(|_| holds("arena")) {
            let live: Vec<String> = peak.live.iter().map(|a| format!("{} {}", a.name, a.bytes)).collect();
            text += &format!(
                "\n    peak at layer `{}` ({}), {} bytes live: {}",
                peak.layer,
                peak.kind,
                peak.bytes(),
                live.join(", ")
            );
        }
    }
    let over = |kind| usage.memories.iter().any(|m| m.kind == kind && m.over() > 0);
    if over(Kind::Ram) {
        text += "\n  a smaller input (`input.size`) needs a smaller arena";
    }
    if over(Kind::Flash) {
        text += "\n  weights may lie in an external memory (the board's `place.weights`)";
    }
    text += "\n  or take a board with more memory, or a smaller network";
    Err(Error::Invalid(text))
}

/// The five layers with the most bytes of constants.
fn heaviest(program: &Program) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut layers: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &program.steps {
        *layers.entry(&step.name).or_default() += step.constant_bytes;
    }
    let mut layers: Vec<(&str, usize)> = layers.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    layers.sort_by_key(|(_, bytes)| Reverse(*bytes));
    layers.iter().take(SHOWN).map(|(name, bytes)| format!("{name} {bytes}")).collect()
}
