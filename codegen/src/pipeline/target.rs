//! The program of a build for this target or another, with its tuning and its board.

use super::Build;
use crate::{
    board,
    error::Result,
    lower::{Target, lower, lower_apart},
    program::Program,
    recipe::Recipe,
    tuning::{Tuning, TuningFile},
};

/// The target with the recipe's threads.
pub(super) fn with_threads(recipe: &Recipe, target: &Target) -> Target {
    Target { threads: recipe.target.threads.unwrap_or(1), ..target.clone() }
}

/// The choices of the recipe's tuning file.
pub(super) fn tuning(recipe: &Recipe, target: &Target) -> Result<Tuning> {
    let Some(path) = &recipe.target.tuning else { return Ok(Tuning::NONE) };
    let path = recipe.resolve(path);
    TuningFile::read(&path)?.tuning(&path, &recipe.network_name(), target.name)
}

impl Build {
    /// The program of `target` instead, from the same quantised graph: the results are the same bytes. The recipe's tuning file holds if it is
    /// one for that target.
    ///
    /// # Errors
    /// An unknown target, a tuning file that cannot be read, a program that does not fit the recipe's board.
    pub fn retarget(&mut self, target: &str) -> Result<()> {
        let target = Target::find(target)?;
        let tuning = match &self.recipe.target.tuning {
            Some(path) if TuningFile::read(&self.recipe.resolve(path))?.target == target.name => {
                tuning(&self.recipe, target)?
            }
            _ => Tuning::NONE,
        };
        self.program = self.lowered(target, tuning)?;
        Ok(())
    }

    /// The program for a target, if it fits the recipe's board.
    fn lowered(&self, target: &Target, tuning: Tuning) -> Result<Program> {
        let target = Target { tuning, ..with_threads(&self.recipe, target) };
        let program = lower(&self.quantized, &target, self.program.metadata.clone())?;
        if let Some(board) = self.recipe.board()? {
            board::check(&program, &board, self.table_bytes())?;
        }
        Ok(program)
    }

    /// The program that the recipe gives with another `[target]`, board and tuning included, from the same quantised graph: the results are
    /// the same bytes.
    ///
    /// # Errors
    /// An unknown target or board, a tuning file of another network, a program that does not fit the board.
    pub fn place(&mut self, target: crate::recipe::Target) -> Result<()> {
        let recipe = Recipe { target, ..self.recipe.clone() };
        let board = recipe.board()?;
        let target = Target::find(recipe.target_name(board.as_ref()))?;
        let target = Target { tuning: tuning(&recipe, target)?, ..with_threads(&recipe, target) };
        self.program = lower(&self.quantized, &target, self.program.metadata.clone())?;
        self.recipe = match &board {
            Some(board) => recipe.placed_on(board)?,
            None => recipe,
        };
        board.map_or(Ok(()), |board| board::check(&self.program, &board, self.table_bytes()))
    }

    /// The program with other choices, from the same quantised graph: the results are the same bytes.
    ///
    /// # Errors
    /// Choices that a layer does not have, a program that does not fit the recipe's board.
    pub fn tuned(&self, tuning: Tuning) -> Result<Program> {
        self.lowered(Target::find(&self.program.target)?, tuning)
    }

    /// The same, with a step for every layer, whose result can then be seen: for comparisons layer by layer, on no board and without tuning.
    ///
    /// # Errors
    /// An unknown target.
    pub fn retarget_apart(&mut self, target: &str) -> Result<()> {
        let metadata = self.program.metadata.clone();
        self.program = lower_apart(&self.quantized, Target::find(target)?, metadata)?;
        Ok(())
    }
}
