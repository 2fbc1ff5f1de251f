//! The rooms of `codegen/src` stand in one order, and each names only itself and those below it.
//!
//! A room is a module with all that is in it, but for parts of it that are rooms of their own. Read are the paths that begin with `crate`, `super` or
//! `self`, in imports and elsewhere; a name that a module hands on (`pub use`) is looked up where it is defined. Tests and comments may name
//! anything.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// From the ground up.
const ROOMS: &[&str] = &[
    "error",
    "text",
    "tensor",
    "format",
    "weights",
    "graph",
    "program",
    "execute",
    "tuning",
    "quantize::statistics",
    "quantize::calibrate",
    "quantize::graph",
    "plan",
    "lower::target",
    "lower::draft",
    "lower::context",
    "ops",
    "quantize",
    "import",
    "passes",
    "lower",
    "check",
    "precision",
    "lock",
    "report",
    "bench",
    "intermediates",
    "grad_cam",
    "board",
    "recipe",
    "emit",
    "pipeline",
    "config",
];

/// Arrows that run up all the same: from, to, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "graph",
    "lower::context",
    "nodes hold operators, and `Op::lower` gets what an operator sees while it is lowered: without that, an operator would be two types",
)];

#[test]
fn each_room_names_only_those_below_it() {
    let mut files = vec![];
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    let found = Sources::new(&files).up(ROOMS);
    let excepted = |(_, from, to, _): &&Arrow| EXCEPTIONS.iter().any(|(a, b, _)| (from, to) == (a, b));
    let bad: Vec<String> = found
        .iter()
        .filter(|arrow| !excepted(arrow))
        .map(|(file, from, to, path)| format!("{file}: `{path}` is in `{to}`, above `{from}`"))
        .collect();
    assert!(bad.is_empty(), "{} arrows run up:\n{}", bad.len(), bad.join("\n"));
    for (from, to, _) in EXCEPTIONS {
        assert!(
            found.iter().any(|arrow| (&arrow.1, &arrow.2) == (from, to)),
            "no arrow from {from} to {to} is left"
        );
    }
}

#[test]
fn arrows_are_found_wherever_they_hide() {
    let files = [
        ("lib.rs", "mod high; mod low; pub use high::Top; macro_rules! m { () => { $crate::high::f() } }"),
        ("high/mod.rs", "mod deep; pub mod open; #[cfg(test)] mod only_tested; pub(crate) use deep::{Deep, Other as Same};"),
        ("high/deep.rs", "use super::open::X; use crate::low::f;"),
        ("high/open.rs", "fn f() { crate::low::f(); }"),
        ("high/only_tested.rs", "use crate::top;"),
        ("top.rs", "use crate::{high::Deep, low};"),
        (
            "low.rs",
            "//! [`crate::high`]\nuse crate::{high::{self, open::X}, Top};\nfn f() { crate::high::Same::new::<u8>() }
             mod inner { use super::super::top; }
             #[cfg(test)] use crate::high::Deep; #[cfg(test)] mod tests { use crate::high::open; }",
        ),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    let found = Sources::new(&files).up(&["low", "high::deep", "high", "top"]);
    let found: Vec<String> =
        found.iter().map(|(file, from, to, path)| format!("{file} {from} {to} {path}")).collect();
    assert_eq!(
        found,
        [
            "high/deep.rs high::deep high super::open::X",
            "low.rs low high crate::high",
            "low.rs low high crate::high::open::X",
            "low.rs low high crate::Top",
            "low.rs low high::deep crate::high::Same::new",
            "low.rs low top super::super::top",
        ]
    );
}

/// File, room that it belongs to, room that it names, path as written.
type Arrow = (String, &'static str, &'static str, String);

/// A path from the root of the crate.
type Segments = Vec<String>;

/// The paths that a file names, each with how it is written.
type Named = Vec<(Segments, String)>;

/// All files below a folder, by their names from there, in order.
fn read(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let (path, name) = (folder.join(&name), format!("{prefix}{}", name.to_str().unwrap()));
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
}

/// What is known of the sources of a crate.
#[derive(Default)]
struct Sources {
    /// Every file with its module and the paths that it names.
    files: Vec<(String, Segments, Named)>,
    modules: BTreeSet<Segments>,
    only_tested: BTreeSet<Segments>,
    /// Where a name that a module hands on is defined, by the path that it has there.
    handed_on: BTreeMap<Segments, Segments>,
}

impl Sources {
    fn new(files: &[(String, String)]) -> Self {
        let mut all = Self::default();
        for (name, _) in files {
            all.modules.insert(module_of(name));
        }
        for (name, text) in files {
            let (module, mut named) = (module_of(name), vec![]);
            let tokens: Vec<TokenTree> = text.parse::<TokenStream>().expect("Rust").into_iter().collect();
            all.scan(&module, &tokens, &mut named);
            all.files.push((name.clone(), module, named));
        }
        all
    }

    /// Notes what a piece of a module names, declares and hands on.
    fn scan(&mut self, module: &Segments, tokens: &[TokenTree], named: &mut Named) {
        let mut at = 0;
        while at < tokens.len() {
            let word = |i: usize| match tokens.get(i) {
                Some(TokenTree::Ident(ident)) => ident.to_string(),
                Some(TokenTree::Punct(punct)) => punct.to_string(),
                _ => String::new(),
            };
            match (&tokens[at], word(at).as_str()) {
                (_, "#") if is_of_tests(tokens.get(at + 1)) => {
                    let end = |token: &TokenTree| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        other => other.to_string() == ";",
                    };
                    // Braces of an import stand before its semicolon.
                    let item = &tokens[at + 2..];
                    let is_use = item.iter().take(3).any(|token| token.to_string() == "use");
                    let end =
                        |token: &TokenTree| end(token) && !(is_use && matches!(token, TokenTree::Group(_)));
                    let len = item.iter().position(end).map_or(item.len(), |last| last + 1);
                    if let Some(i) = item[..len].iter().position(|token| token.to_string() == "mod") {
                        self.only_tested.insert(with(module, &[item[i + 1].to_string()]));
                    }
                    at += 2 + len;
                }
                (_, "mod") if matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) => {
                    let TokenTree::Group(body) = &tokens[at + 2] else { unreachable!() };
                    let inner = with(module, &[word(at + 1)]);
                    self.modules.insert(inner.clone());
                    self.scan(&inner, &body.stream().into_iter().collect::<Vec<_>>(), named);
                    at += 3;
                }
                (_, "use") => {
                    let len = tokens[at..].iter().position(|token| token.to_string() == ";").unwrap_or(1);
                    for (path, alias) in tree(&tokens[at + 1..at + len]) {
                        let Some(first) = path.first() else { continue };
                        let is_child = self.modules.contains(&with(module, &path[..1]));
                        if !is_child && !is_relative(first) {
                            continue;
                        }
                        let target = if is_child { with(module, &path) } else { absolute(module, &path) };
                        let name = alias.or(path.last().cloned()).unwrap_or_default();
                        self.handed_on.insert(with(module, &[name]), target.clone());
                        if is_relative(first) {
                            named.push((target, path.join("::")));
                        }
                    }
                    at += len;
                }
                (_, first)
                    if is_relative(first) && word(at + 1) == ":" && word(at.wrapping_sub(1)) != ":" =>
                {
                    let mut path = vec![first.to_string()];
                    at += 1;
                    while word(at) == ":" && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
                        path.push(word(at + 2));
                        at += 3;
                    }
                    named.push((absolute(module, &path), path.join("::")));
                }
                (TokenTree::Group(group), _) => {
                    self.scan(module, &group.stream().into_iter().collect::<Vec<_>>(), named);
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// The module in which a path ends, once names that are handed on are followed.
    fn home(&self, path: &Segments) -> Segments {
        let mut path = path.clone();
        for _ in 0..8 {
            let module = (0..=path.len()).rev().find(|n| self.modules.contains(&path[..*n])).unwrap_or(0);
            let next = path.get(..module + 1).and_then(|name| self.handed_on.get(name));
            let Some(target) = next else { return path[..module].to_vec() };
            path = with(target, &path[module + 1..]);
        }
        panic!("{path:?} is handed on in a circle")
    }

    /// Every path to a room that stands higher in `rooms` than the one of its file, in the order of files.
    fn up(&self, rooms: &[&'static str]) -> Vec<Arrow> {
        let room = |module: &Segments| {
            let holds = |room: &&str| {
                module.join("::") == **room || module.join("::").starts_with(&format!("{room}::"))
            };
            rooms.iter().enumerate().filter(|(_, room)| holds(room)).max_by_key(|(_, room)| room.len())
        };
        let mut found = vec![];
        for (file, module, named) in &self.files {
            if module.is_empty() || (0..=module.len()).any(|n| self.only_tested.contains(&module[..n])) {
                continue;
            }
            let (height, from) = room(module).unwrap_or_else(|| panic!("{file}: in no room of the list"));
            for (path, text) in named {
                let target = room(&self.home(path)).filter(|(other, _)| *other > height);
                found.extend(target.map(|(_, to)| (file.clone(), *from, *to, text.clone())));
            }
        }
        found
    }
}

/// The module of a file; none for the root of the crate.
fn module_of(file: &str) -> Segments {
    let name = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if name == "lib" { vec![] } else { name.split('/').map(String::from).collect() }
}

fn with(module: &[String], path: &[String]) -> Segments {
    module.iter().chain(path).cloned().collect()
}

fn is_relative(first: &str) -> bool {
    matches!(first, "crate" | "super" | "self")
}

/// Whether an attribute says that what follows is compiled for tests only.
fn is_of_tests(attribute: Option<&TokenTree>) -> bool {
    attribute.is_some_and(|attribute| attribute.to_string().replace(' ', "") == "[cfg(test)]")
}

/// A path of `module`, from the root of the crate.
fn absolute(module: &Segments, path: &[String]) -> Segments {
    let mut from = module.clone();
    for (i, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "crate" => from.clear(),
            "self" => {}
            "super" => drop(from.pop()),
            _ => return with(&from, &path[i..]),
        }
    }
    from
}

/// The paths of an import, with the names that they are given.
fn tree(tokens: &[TokenTree]) -> Vec<(Segments, Option<String>)> {
    let (mut path, mut at) = (vec![], 0);
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let parts = inner.split(|token| token.to_string() == ",").filter(|part| !part.is_empty());
                let all = parts.flat_map(tree).map(|(rest, alias)| match rest.as_slice() {
                    [only] if only == "self" => (path.clone(), alias),
                    _ => (with(&path, &rest), alias),
                });
                return all.collect();
            }
            TokenTree::Ident(word) if word == "as" => {
                return vec![(path, tokens.get(at + 1).map(ToString::to_string))];
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            // A glob names the module that it is of.
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
    vec![(path, None)]
}
