//! The layout of `src/`: which folder may import which, as docs/architecture.md has it, and no file that
//! imports itself through others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{UseTree, spanned::Spanned, visit::Visit};

/// A path that a file takes a name from, as written behind `crate::`.
struct Import {
    line: usize,
    path: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The table of docs/architecture.md: each folder and those that it may import.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../docs/architecture.md");
    let (_, section) = page.split_once("## Imports").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let names = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let folder = cells.next()?.trim_end_matches(['`', ' ']).to_owned();
            Some((folder, names(cells.next()?)))
        })
        .collect()
}

/// Every file below `src/` with its module path. Tests may import what they like.
fn files() -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
            if is_tests {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path
                    .strip_prefix(root())
                    .expect("below src")
                    .with_extension("");
                let module = relative
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                found.push((path, module));
            }
        }
    }
    found.sort();
    found
}

/// Collects what a file takes from the crate, by `use` or by a whole path.
struct Collector<'a> {
    module: &'a [String],
    imports: Vec<Import>,
}

impl Collector<'_> {
    /// `path` without `crate`, `self` and `super`; none of other crates.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.to_vec(),
            "super" => {
                let supers = path.iter().take_while(|part| *part == "super").count();
                self.module[..self.module.len().checked_sub(supers)?].to_vec()
            }
            _ => return None,
        };
        let rest = path
            .iter()
            .skip_while(|part| matches!(part.as_str(), "crate" | "self" | "super"));
        base.extend(rest.cloned());
        Some(base)
    }

    fn add(&mut self, path: &[String], line: usize) {
        if let Some(path) = self.resolve(path) {
            self.imports.push(Import { line, path });
        }
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => {
                self.add(&with(name.ident.to_string()), name.span().start().line);
            }
            UseTree::Rename(name) => {
                self.add(&with(name.ident.to_string()), name.span().start().line);
            }
            UseTree::Glob(glob) => self.add(&with("*".to_owned()), glob.span().start().line),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        // A whole path; `self` alone is a value.
        if names.len() > 1 && names[0] == "crate" {
            self.add(&names, path.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }
}

fn imports(path: &Path, module: &[String]) -> Vec<Import> {
    let text = fs::read_to_string(path).expect("a file");
    let file = syn::parse_file(&text).expect("Rust");
    let mut collector = Collector {
        module,
        imports: Vec::new(),
    };
    collector.visit_file(&file);
    collector.imports
}

#[test]
fn no_import_is_against_the_table() {
    let table = table();
    assert!(table.len() > 10, "the table was not read: {table:?}");
    let mut broken = Vec::new();
    let mut seen = 0;
    for (path, module) in files() {
        let folder = &module[0];
        let Some(allowed) = table.get(folder) else {
            broken.push(format!("{}: `{folder}` has no row", path.display()));
            continue;
        };
        for import in imports(&path, &module) {
            seen += 1;
            let Some(other) = import.path.first() else {
                continue;
            };
            // A name of the crate root is nobody's: it is to be imported from its owner.
            if other != folder && !allowed.contains(other) {
                broken.push(format!(
                    "{}:{}: `{folder}` may not import `{}`: the table allows {}",
                    path.display(),
                    import.line,
                    import.path.join("::"),
                    if allowed.is_empty() {
                        "nothing".to_owned()
                    } else {
                        allowed.iter().cloned().collect::<Vec<_>>().join(", ")
                    },
                ));
            }
        }
    }
    assert!(seen > 300, "only {seen} imports were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = files();
    let modules: BTreeSet<&[String]> = files.iter().map(|(_, module)| module.as_slice()).collect();
    // The file that a path leads to: the longest module in front of the name.
    let owner = |path: &[String]| {
        (1..=path.len())
            .rev()
            .map(|length| &path[..length])
            .find(|module| modules.contains(module))
            .map(<[String]>::to_vec)
    };
    let mut arrows: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (path, module) in &files {
        let targets = imports(path, module)
            .iter()
            .filter_map(|import| owner(&import.path))
            // A file and those below it are one thing in several files.
            .filter(|target| target != module && !module.starts_with(target))
            .collect();
        arrows.insert(module.clone(), targets);
    }
    // What is taken away again and again is what no circle holds.
    loop {
        let free: Vec<Vec<String>> = arrows
            .iter()
            .filter(|(_, targets)| targets.iter().all(|target| !arrows.contains_key(target)))
            .map(|(module, _)| module.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        for module in free {
            arrows.remove(&module);
        }
    }
    let circle: Vec<String> = arrows
        .iter()
        .map(|(module, targets)| {
            let targets = targets.iter().filter(|target| arrows.contains_key(*target));
            let targets: Vec<String> = targets.map(|target| target.join("/")).collect();
            format!("{} → {}", module.join("/"), targets.join(", "))
        })
        .collect();
    assert!(
        circle.is_empty(),
        "a circle, or behind one:\n{}",
        circle.join("\n")
    );
}
