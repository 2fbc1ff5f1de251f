//! `models.rs`: the modules of a folder, and the properties of each that programs need.
//!
//! ```text
//! mod anam_net_tiny_single { include!("anam_net_tiny_single.rs"); }
//! crate::each_model! {
//!     { "anam_net_tiny.single", anam_net_tiny_single::AnamNet, arena: own,
//!       inputs: [input: [i8; INPUT_LEN]], outputs: [output: [i8; OUTPUT_LEN]],
//!       cases: [("seed:1", Seed(1)), ("file:a.png", Codes(include_bytes!("anam_net_tiny_single.case1.bin")))] }
//! }
//! ```
//!
//! Each program expands the list with a macro of that name. `arena: placed` stands for a model whose arena lies in a section
//! of its board.

use niello_codegen::{
    emit::{element, type_name},
    program::Program,
    recipe::Target,
};

/// A line of the list.
pub(crate) fn entry(name: &str, module: &str, program: &Program, target: &Target, cases: &str) -> String {
    let arena = if target.arena_section.is_some() { "placed" } else { "own" };
    let buffers = |base: &str, ids: &[_]| -> String {
        let one = |(i, id): (usize, _)| {
            let name = if ids.len() == 1 { base.into() } else { format!("{base}{i}") };
            let element = match element(program.tensor(id).format) {
                "F16" => "niello::F16",
                other => other,
            };
            format!("{name}: [{element}; {}_LEN]", name.to_uppercase())
        };
        ids.iter().copied().enumerate().map(one).collect::<Vec<_>>().join(", ")
    };
    format!(
        "    {{ {name:?}, {module}::{}, arena: {arena}, inputs: [{}], outputs: [{}], cases: [{cases}] }}\n",
        type_name(program),
        buffers("input", &program.inputs),
        buffers("output", &program.outputs)
    )
}

/// The whole file.
pub(crate) fn text<'m>(entries: impl Iterator<Item = (&'m String, &'m String)>) -> String {
    let (mut modules, mut list) = (String::new(), String::new());
    for (module, entry) in entries {
        modules += &format!("mod {module} {{ include!(\"{module}.rs\"); }}\n");
        list += entry;
    }
    format!("{modules}\ncrate::each_model! {{\n{list}}}\n")
}
