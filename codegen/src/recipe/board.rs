//! The board of a recipe.

use super::Recipe;
use crate::{Error, Result, board::Board, lower::AUTO};

impl Recipe {
    /// Reads the board, if the recipe has one.
    ///
    /// # Errors
    /// A file that is no board, an unknown name.
    pub fn board(&self) -> Result<Option<Board>> {
        let Some(board) = &self.target.board else { return Ok(None) };
        if let Some(file) = board.file() {
            return Board::from_file(self.resolve(file)).map(Some);
        }
        let (name, known) = (board.as_str(), self.target.known_boards);
        match known.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Board::parse(name, text).map(Some),
            None => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                let message =
                    format!("no board `{name}`; expected a board's .toml file, or a name of: {names}");
                Err(Error::Invalid(message))
            }
        }
    }

    /// The name of the target that weights are packed for: the recipe's, or the board's where the recipe's is `auto`.
    pub fn target_name<'a>(&'a self, board: Option<&'a Board>) -> &'a str {
        match board {
            Some(board) if self.target.name == AUTO => &board.target,
            _ => &self.target.name,
        }
    }

    #[cfg(feature = "imaging")]
    /// With the linker sections that the board's places ask for, where the recipe names none.
    ///
    /// # Errors
    /// A section of another memory of the board than its place for that part.
    pub(crate) fn placed_on(mut self, board: &Board) -> Result<Self> {
        let place = &board.place;
        for (key, memory, section) in [
            ("weights-section", &place.weights, &self.target.weights_section),
            ("arena-section", &place.arena, &self.target.arena_section),
        ] {
            let other = section.as_ref().and_then(|s| board.memory_of(s)).filter(|m| m.name != *memory);
            if let (Some(section), Some(other)) = (section, other) {
                let part = key.trim_end_matches("-section");
                return Err(Error::Invalid(format!(
                    "recipe: `target.{key}` is `{section}`, in memory `{}` of board `{}`, whose `place.{part}` is `{memory}`",
                    other.name, board.name
                )));
            }
        }
        let target = &mut self.target;
        target.weights_section = target.weights_section.take().or_else(|| board.weights_section());
        target.arena_section = target.arena_section.take().or_else(|| board.arena_section());
        Ok(self)
    }
}
