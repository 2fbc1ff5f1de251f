//! The table of a board's memories.

use crate::table;
use niello_codegen::board::Usage;

/// One line for each part of each memory, and the bytes that do not fit.
pub(crate) fn render(usage: &Usage) -> String {
    let mut rows = vec![];
    for memory in usage.memories.iter().filter(|m| m.used > 0) {
        let share = |bytes: u64| table::percent(Some(bytes as f64 / memory.available as f64));
        rows.push(vec![
            memory.name.clone(),
            table::grouped(memory.used),
            table::grouped(memory.available),
            share(memory.used),
        ]);
        for part in &memory.parts {
            rows.push(vec![
                format!("  {}", part.name),
                table::grouped(part.bytes),
                String::new(),
                share(part.bytes),
            ]);
        }
    }
    let mut text = format!("board {}\n", usage.board);
    text += &table::render(&["memory", "used", "available", "share"], &rows);
    for memory in usage.memories.iter().filter(|m| m.over() > 0) {
        text += &format!("{} does not fit: {} bytes too many\n", memory.name, table::grouped(memory.over()));
    }
    text
}
