//! No circles between the files of one room: who reads a file has read what it needs of its neighbours
//! before. A file and what lies in its folder are one thing, and aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{is_test, root, sources};

/// Crates that must have none within a room, and between their rooms unless the layers here hold those.
const CRATES: [(&str, bool); 3] = [
    ("src", true),
    ("internal-chaos/src", false),
    ("benches/scale", false),
];

/// Path of a module below the crate.
type Module = Vec<String>;

#[derive(Default)]
struct Crate {
    code: BTreeMap<Module, String>,
    /// Where a name of a module really is.
    exports: BTreeMap<(Module, String), Module>,
}

#[test]
fn no_circles_within_a_room() {
    let circles = CRATES.map(|(folder, is_layered)| {
        let mut edges = Crate::read(&root().join(folder)).edges();
        edges.retain(|(from, to)| !is_layered || from[0] == to[0]);
        circles(edges)
    });
    let circles = circles.concat();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

/// The edges that lie on a circle, or between two.
fn circles(mut edges: BTreeSet<(Module, Module)>) -> Vec<String> {
    edges.retain(|(from, to)| !from.starts_with(to) && !to.starts_with(from));
    // What nothing imports, or what imports nothing, is on no circle.
    loop {
        let importing: BTreeSet<Module> = edges.iter().map(|(from, _)| from.clone()).collect();
        let imported: BTreeSet<Module> = edges.iter().map(|(_, to)| to.clone()).collect();
        let before = edges.len();
        edges.retain(|(from, to)| imported.contains(from) && importing.contains(to));
        if edges.len() == before {
            break;
        }
    }
    let text = |(from, to): &(Module, Module)| format!("{} -> {}", from.join("::"), to.join("::"));
    edges.iter().map(text).collect()
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut read = Self::default();
        for file in sources(folder) {
            if is_test(&file) {
                continue;
            }
            let inside = file.strip_prefix(folder).unwrap().with_extension("");
            let parts = inside.components().map(|part| part.as_os_str());
            let mut module: Module = parts.map(|p| p.to_str().unwrap().to_owned()).collect();
            if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            read.code
                .insert(module, code(&fs::read_to_string(&file).unwrap()));
        }
        for (module, code) in &read.code {
            for (path, is_public) in imports(code) {
                let Some(path) = read.absolute(module, &path).filter(|_| is_public) else {
                    continue;
                };
                let name = path.last().unwrap().clone();
                read.exports.insert((module.clone(), name), path);
            }
        }
        read
    }

    /// Which file imports from which.
    fn edges(&self) -> BTreeSet<(Module, Module)> {
        let mut edges = BTreeSet::new();
        for (module, code) in &self.code {
            let used = imports(code).into_iter().map(|(path, _)| path);
            for path in used.chain(mentions(code)) {
                let target = self.absolute(module, &path).map(|path| self.home(path));
                if let Some(target) = target.filter(|target| target != module) {
                    edges.insert((module.clone(), target));
                }
            }
        }
        edges.retain(|(from, to)| !from.is_empty() && !to.is_empty());
        edges
    }

    /// A path of `module` from the crate on; `None`: it leads out of the crate.
    fn absolute(&self, module: &[String], path: &str) -> Option<Module> {
        let mut at = module.to_vec();
        let mut parts = path.split("::").peekable();
        let first = *parts.peek()?;
        if first == "crate" {
            at.clear();
            parts.next();
        } else if !["self", "super"].contains(&first) {
            let child = [module, &[first.to_owned()]].concat();
            self.code.get(&child)?;
        }
        for part in parts {
            match part {
                "self" => {}
                "super" => drop(at.pop()?),
                name => at.push(name.to_owned()),
            }
        }
        Some(at)
    }

    /// The file that what this path names is in.
    fn home(&self, path: Module) -> Module {
        let known = (0..=path.len()).rev().map(|count| path.split_at(count));
        let (module, rest) = { known }
            .find(|(module, _)| self.code.contains_key(*module))
            .unwrap();
        let key = rest.first().map(|name| (module.to_vec(), name.clone()));
        match key.and_then(|key| self.exports.get(&key)) {
            Some(real) if *real != path => self.home([real, &rest[1..]].concat()),
            _ => module.to_vec(),
        }
    }
}

/// Without comments and tests.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = product.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path of the `use` lines, and whether it is exported on.
fn imports(code: &str) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for statement in code.split_inclusive(';') {
        let Some(at) = statement.rfind("use ") else {
            continue;
        };
        let (before, tree) = statement.split_at(at);
        let tree = tree.trim_start_matches("use ").trim_end_matches(';');
        let before = before.lines().last().unwrap_or_default().trim();
        let is_import = before.is_empty() || before.starts_with("pub") && !before.contains(' ');
        let may_stand = |c: char| c.is_alphanumeric() || " _:{},*\n".contains(c);
        if is_import && tree.chars().all(may_stand) {
            let tree = tree.replace(char::is_whitespace, "");
            let paths = leaves(&tree).into_iter();
            all.extend(paths.map(|path| (path, !before.is_empty())));
        }
    }
    all
}

/// `a::{b, c::{d, e}}` as its paths.
fn leaves(tree: &str) -> Vec<String> {
    let Some((stem, rest)) = tree.split_once('{') else {
        return vec![tree.trim_end_matches("::self").to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap();
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(character);
    }
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts
        .flat_map(|part| leaves(&format!("{stem}{part}")))
        .collect()
}

/// Paths that stand in the middle of code.
fn mentions(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !is_path(c));
    let words = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    words
        .map(|word| word.trim_end_matches(':').to_owned())
        .collect()
}
