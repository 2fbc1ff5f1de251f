//! Names as words: in steps' names, golden files, logs of devices and costs of runners.
//!
//! A step is named after the layers that it computes, `a+b`. Texts have its name as one word. So that both can be read back, whatever a
//! layer is called, a `+`, a `%`, blanks and control characters of names are written as `%` and two digits for each byte of UTF-8.

/// Between the words of layers that one step computes: of all but the last, no result is kept.
const FUSED: char = '+';
/// An empty name: no other is written so.
const EMPTY: &str = "%";

/// A name as one word, without `FUSED`.
pub fn word(name: &str) -> String {
    let mut word = if name.is_empty() { EMPTY.into() } else { String::with_capacity(name.len()) };
    for c in name.chars() {
        if matches!(c, FUSED | '%') || c.is_whitespace() || c.is_control() {
            let bytes =
                c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            word += &bytes;
        } else {
            word.push(c);
        }
    }
    word
}

/// The name of a [`word`]; a `%` that is no sign of a byte stays.
pub fn unword(word: &str) -> String {
    if word == EMPTY {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let [first, more @ ..] = rest {
        let byte = word.get(word.len() - more.len()..).and_then(|text| text.get(..2));
        let byte = byte.filter(|hex| *first == b'%' && hex.bytes().all(|c| c.is_ascii_hexdigit()));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| word.into())
}

/// The name of a step that computes `layers`.
pub fn step_name(layers: &[String]) -> String {
    layers.iter().map(|layer| word(layer)).collect::<Vec<_>>().join(&FUSED.to_string())
}

/// In snake case, of ASCII.
pub(crate) fn snake_case(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// A network's name as one that Rust, C, cargo and file systems take: in snake case, of ASCII. `U-Net` gives `u_net`, `3d_unet` gives
/// `net_3d_unet`, and a name without a letter or a digit of ASCII gives `net`.
pub fn identifier(name: &str) -> String {
    let name = snake_case(name);
    let mut id = name.trim_matches('_').to_string();
    if id.is_empty() {
        id = "net".into();
    } else if syn::parse_str::<syn::Ident>(&id).is_err() || is_taken(&id) {
        id.insert_str(0, "net_");
    }
    id.truncate(LONGEST);
    id.truncate(id.trim_end_matches('_').len());
    id
}

/// The longest identifier: names of files are made of it, which must not exceed 255 bytes.
const LONGEST: usize = 128;

/// Whether a crate, a module or a file of that name is in somebody's way: crates that generated code names, folders of cargo, devices of
/// Windows, words that Rust reserves in some editions.
fn is_taken(id: &str) -> bool {
    const TAKEN: [&str; 15] = [
        "alloc",
        "aux",
        "build",
        "con",
        "core",
        "deps",
        "examples",
        "gen",
        "incremental",
        "niello",
        "niello_kernels",
        "nul",
        "prn",
        "proc_macro",
        "std",
    ];
    let is_port =
        |kind: &str| id.strip_prefix(kind).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    TAKEN.contains(&id) || is_port("com") || is_port("lpt")
}

/// The layers of a step of that name.
pub fn step_layers(name: &str) -> Vec<String> {
    name.split(FUSED).map(unword).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_names_stay_as_they_are() {
        for name in ["features.3.expand1x1", "block/conv_1:0", "größe", "a-b"] {
            assert_eq!(word(name), name);
        }
        let names = |layers: &[&str]| step_name(&layers.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["conv", "pool"]), "conv+pool");
        assert_eq!(names(&["a+b", "", "100 %"]), "a%2bb+%+100%20%25");
        assert_eq!(unword("50%"), "50%");
        assert_eq!(unword("%zz%2"), "%zz%2");
    }

    #[test]
    fn networks_get_names_that_everybody_takes() {
        for (name, expected) in [
            ("squeezenet1_0", "squeezenet1_0"),
            ("U-Net", "u_net"),
            ("3d_unet", "net_3d_unet"),
            ("", "net"),
            ("___", "net"),
            ("网络", "net"),
            ("größe", "gr__e"),
            ("self", "net_self"),
            ("Self", "net_self"),
            ("crate", "net_crate"),
            ("fn", "net_fn"),
            ("CON", "net_con"),
            ("com1", "net_com1"),
            ("com10", "com10"),
            ("core", "net_core"),
            ("_x_", "x"),
        ] {
            assert_eq!(identifier(name), expected);
        }
    }

    proptest! {
        #[test]
        fn any_name_gives_an_identifier(name in "\\PC*|[a-z0-9_ ./-]{0,9}|[^a]{200}") {
            let id = identifier(&name);
            prop_assert!(syn::parse_str::<syn::Ident>(&id).is_ok() && !is_taken(&id), "{id}");
            prop_assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.len() <= LONGEST);
            prop_assert_eq!(identifier(&id), id);
        }

        #[test]
        fn layers_are_read_back(layers in prop::collection::vec(any::<String>(), 1..4)) {
            let name = step_name(&layers);
            prop_assert_eq!(name.split_whitespace().count(), 1);
            prop_assert_eq!(step_layers(&name), layers);
        }

        #[test]
        fn any_word_is_read(word in any::<String>()) {
            unword(&word);
        }
    }
}
