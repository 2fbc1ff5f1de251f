//! `niello report` with data: figures in JSON, and the page, by its structure and in a browser.

mod support;

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use support::Room;

/// A segmentation whose classes need escaping.
const ANAM: &str =
    "--model anam_net --seeded --classes A<b>,x&y,normal --input 32x32 --target portable --calibrate images";
/// A classifier with class-activation maps.
const SQUEEZE: &str = "--model squeezenet1_1 --seeded --classes cat,dog,none --input 64x64 --target portable";

fn room() -> Room {
    let room = Room::new();
    for name in ["images/a&<b>.png", "images/c.png"] {
        room.png(name, 32);
    }
    room
}

/// A page taken apart: how often each tag is there, every attribute, and the text of scripts and styles.
#[derive(Default)]
struct Page {
    tags: BTreeMap<String, usize>,
    /// By the name of an attribute.
    attributes: Vec<(String, String)>,
    raw: String,
}

/// Tags that have no end.
const VOID: [&str; 5] = ["meta", "img", "br", "wbr", "link"];

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// A tag that is not closed, or closed where it is not open; an attribute without quotes; a bare `<` or `&`.
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut open: Vec<String> = vec![];
        let mut rest = text
            .trim()
            .strip_prefix("<!doctype html>")
            .or(text.trim().strip_prefix("<!DOCTYPE html>"))
            .unwrap();
        while let Some(at) = rest.find('<') {
            check_entities(&rest[..at]);
            rest = &rest[at + 1..];
            let end = end_of_tag(rest);
            let (tag, behind) = (&rest[..end], &rest[end + 1..]);
            rest = behind;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "closed where another is open");
                continue;
            }
            let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            assert!(!name.is_empty(), "no tag: <{tag}>");
            page.read_attributes(tag[name.len()..].trim().trim_end_matches('/'));
            *page.tags.entry(name.clone()).or_default() += 1;
            if ["script", "style"].contains(&&*name) {
                let (raw, behind) = rest.split_once(&format!("</{name}>")).unwrap();
                page.raw += raw;
                rest = behind;
            } else if !VOID.contains(&&*name) && !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0], "not closed");
        page
    }

    fn read_attributes(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (name, behind) = text.split_once("=\"").unwrap_or_else(|| panic!("no quotes: {text}"));
            let (value, behind) = behind.split_once('"').unwrap();
            check_entities(value);
            self.attributes.push((name.trim().into(), value.into()));
            text = behind.trim();
        }
    }

    fn count(&self, tag: &str) -> usize {
        self.tags.get(tag).copied().unwrap_or(0)
    }

    fn values<'p>(&'p self, attribute: &'p str) -> impl Iterator<Item = &'p str> {
        self.attributes.iter().filter(move |(name, _)| name == attribute).map(|(_, value)| &**value)
    }
}

/// Where a tag ends: `>` may be in quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    text.find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    })
    .unwrap()
}

/// Every `&` begins an entity.
fn check_entities(text: &str) {
    for behind in text.split('&').skip(1) {
        let name = behind.split_once(';').map_or("", |(name, _)| name);
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#'), "&{behind}");
    }
}

/// The page of a report with everything.
fn page(room: &Room, words: &str) -> String {
    room.text(&format!("report {words} --html page.html --plots plots"));
    fs::read_to_string(room.path("page.html")).unwrap()
}

#[test]
fn json_has_the_arena_over_time_and_what_verify_says() {
    let room = room();
    let json = room.json(&format!("report {ANAM} --data images --json"));
    let verified = room.json(&format!("verify {ANAM} --data images --json"));
    assert_eq!(json["verified"], verified);
    let live: Vec<u64> =
        json["arena"]["live_bytes"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(live.len(), json["layers"].as_array().unwrap().len());
    assert_eq!(live.iter().max(), json["arena_lower_bound_bytes"].as_u64().as_ref());
    let blocks = json["arena"]["blocks"].as_array().unwrap();
    let end = |block: &Value| block["offset"].as_u64().unwrap() + block["bytes"].as_u64().unwrap();
    let largest = blocks.iter().map(end).max().unwrap();
    assert_eq!(largest.next_multiple_of(16), json["arena_bytes"].as_u64().unwrap());
    assert!(blocks.iter().all(|b| b["first"].as_u64() <= b["last"].as_u64()));
    let inspected = room.json(&format!("inspect {ANAM} --data images --json"));
    assert_eq!(inspected["verified"], verified);
    assert!(room.text(&format!("inspect {ANAM} --data images")).contains("own dB"));
    assert!(room.text(&format!("report {ANAM} --data images")).contains("own dB"));
}

#[test]
fn the_page_of_a_segmentation_has_everything_and_needs_nothing() {
    let room = room();
    let words = format!("{ANAM} --data images --activations max1 --activations up_1");
    let text = page(&room, &words);
    let page = Page::read(&text);
    let ids: Vec<&str> = page.values("id").collect();
    let titles = [
        "Graph",
        "Work and memory",
        "Arena over time",
        "Errors",
        "Worst layers",
        "Histograms",
        "Examples",
        "Activation maps",
        "Recipe, lock, hashes",
    ];
    assert_eq!((page.count("section"), ids.len()), (titles.len(), titles.len()));
    for (title, id) in titles.iter().zip(ids) {
        assert!(text.contains(&format!("<section id=\"{id}\">\n<h2>{title}</h2>")), "{title}");
        assert!(page.values("href").any(|href| href == format!("#{id}")), "{title}");
    }
    // Two cases of four pictures and a table, two layers of two maps.
    assert_eq!(page.count("img"), 2 * 4 + 2 * 2);
    assert!(page.values("src").all(|src| src.starts_with("data:image/png;base64,")));
    assert!(page.values("href").all(|href| href.starts_with('#')));
    assert!(page.values("alt").all(|alt| !alt.is_empty()) && page.values("alt").count() == page.count("img"));
    // Plots: the graph, the arena, histograms of the input and of eight layers; each has words, and a table behind it.
    assert_eq!(page.count("svg"), 2 + 9);
    assert_eq!(page.values("aria-label").filter(|label| !label.is_empty()).count(), page.count("svg"));
    assert_eq!(page.count("details"), page.count("svg"));
    assert_eq!(
        text.matches("<details><summary>As a table</summary>\n<div class=\"wide\"><table").count(),
        page.count("svg")
    );
    // Nothing is fetched, and nothing is hidden until a script runs.
    for word in ["http:", "https:", "url(", "@import", "fetch", "XMLHttp", "innerHTML"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!((page.count("script"), page.count("button"), page.count("link")), (1, 0, 0));
    assert!(page.raw.contains("color-scheme: light dark") && page.raw.contains("@media print"));
    // Names are no markup.
    assert!(text.contains("A&lt;b&gt;") && text.contains("x&amp;y") && text.contains("a&amp;&lt;b&gt;.png"));
    assert!(text.contains("Weights are random numbers"));
    // The same command makes the same page.
    assert!(self::page(&room, &words) == text);
    let plots: Vec<String> = files(&room.path("plots"));
    for name in ["arena.svg", "errors.svg", "graph.svg", "macs.svg", "weights.svg", "histogram-1-input.svg"] {
        assert!(plots.iter().any(|plot| plot == name), "{name}: {plots:?}");
    }
    for plot in plots {
        let svg = fs::read_to_string(room.path(&format!("plots/{plot}"))).unwrap();
        let page = Page::read(&format!("<!doctype html>{svg}"));
        assert_eq!((page.count("svg"), page.count("title")), (1, 1), "{plot}");
    }
}

/// Names of a folder's files.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn the_page_of_a_classifier_has_probabilities_and_class_activation_maps() {
    let room = room();
    room.write("costs.txt", "layer features.3.squeeze_activation 1234\nlayer classifier.3 7\ntotal 99999\n");
    let text = page(&room, &format!("{SQUEEZE} --data images/c.png --costs costs.txt"));
    let page = Page::read(&text);
    assert_eq!(page.count("img"), 3, "the picture, and a map of float and of int8");
    assert!(text.contains("where float saw ") && text.contains("where int8 saw "));
    assert!(text.contains("99,999") && text.contains(">1,234<"), "costs");
    let text = self::page(&room, SQUEEZE);
    let page = Page::read(&text);
    assert_eq!((page.count("img"), page.count("svg")), (0, 2), "without data there are no errors");
    assert!(!text.contains("<h2>Errors</h2>"));
}

#[test]
fn the_page_of_a_generator_is_of_drawn_numbers() {
    let room = Room::new();
    let text = page(&room, "--model shallow_cgan_generator --seeded --classes a,b --examples 2");
    let page = Page::read(&text);
    assert_eq!(page.count("img"), 2 * 3, "float, the program, the difference");
    assert!(text.contains("<h2>Errors</h2>"));
}

#[test]
fn what_a_page_cannot_show_is_refused_before_anything_is_built() {
    let room = room();
    room.write("none.txt", "layer other 5\n");
    for (words, expected) in [
        (
            format!("{ANAM} --html page.html --activations up_1"),
            "`--activations` needs a case to show: give `--data`",
        ),
        (format!("{ANAM} --data images --html page.html --activations up_l"), "no such tensor; near: up_1"),
        (format!("{ANAM} --data images --html images"), "found a folder"),
        (format!("{ANAM} --data missing --html page.html"), "found nothing there"),
        (format!("{ANAM} --costs none.txt"), "has costs of none of the steps of anam_net"),
        (format!("{ANAM} --plots images/c.png"), "cannot create"),
    ] {
        let output = room.niello(&format!("report {words}"));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && errors.contains(expected), "{words}: {errors}");
        assert!(!room.path("page.html").exists(), "{words}");
    }
}

/// A page's document after its scripts have run, as headless Chromium sees it.
fn in_browser(file: &Path, profile: PathBuf) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The first cells of the rows of the first table that can be sorted.
fn first_cells(text: &str) -> Vec<String> {
    let (_, table) = text.split_once("<h2>Work and memory</h2>").unwrap();
    let (_, body) = table.split_once("<tbody>").unwrap();
    let (body, _) = body.split_once("</tbody>").unwrap();
    let cell = |row: &str| row.split_once("</td>").unwrap().0.rsplit('>').next().unwrap().to_string();
    body.split("<tr>").skip(1).map(cell).collect()
}

#[test]
#[ignore = "opens a browser: cargo xtask pages"]
fn a_browser_shows_the_page_as_it_is_written_and_sorts_its_tables() {
    let room = room();
    let text = page(&room, &format!("{ANAM} --data images --activations max1"));
    let written = Page::read(&text);
    let shown = in_browser(&room.path("page.html"), room.path("profile"));
    let found = Page::read(&shown);
    for tag in
        ["section", "h2", "h3", "table", "tr", "td", "th", "svg", "text", "rect", "img", "figure", "details"]
    {
        assert_eq!(found.count(tag), written.count(tag), "{tag}");
    }
    let headings = text.split("<table class=\"sort\">").skip(1);
    let headings: usize = headings.map(|t| t.split_once("</thead>").unwrap().0.matches("<th ").count()).sum();
    assert_eq!(found.count("button"), headings, "each heading of those tables is a button");
    assert_eq!(first_cells(&shown), first_cells(&text), "nothing is sorted yet");
    // The heading `step`: the first click sorts downwards.
    let click = "<script>document.querySelector('#s1 th:nth-child(2) button').click()</script></body>";
    room.write("clicked.html", text.replace("</body>", click));
    let sorted = first_cells(&in_browser(&room.path("clicked.html"), room.path("profile")));
    let mut reversed = first_cells(&text);
    reversed.reverse();
    assert_eq!(sorted, reversed);
}
