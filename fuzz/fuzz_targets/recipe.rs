//! A recipe's text: read or refused, and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use niello_codegen::recipe::Recipe;

fuzz_target!(|text: &str| {
    if let Ok(recipe) = Recipe::parse(text, "") {
        let written = recipe.to_toml().expect("a recipe that was read can be written");
        assert_eq!(Recipe::parse(&written, "").expect("and read again"), recipe);
    }
});
