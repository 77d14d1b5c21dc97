//! The documentation: every link leads to a file that is there, and to a heading of it. Both tables of
//! contents have every page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a page has: the targets of its links, and the anchors of its headings.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

/// The anchor that the usual viewers make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ if character.is_alphanumeric() => Some(character),
        _ => None,
    });
    kept.collect()
}

fn read(path: &Path) -> Page {
    let text = fs::read_to_string(path).expect("a page");
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            // Pictures that follow the colours of the reader.
            Event::Html(html) | Event::InlineHtml(html) => {
                for attribute in ["src=\"", "srcset=\""] {
                    let found = html.split(attribute).skip(1);
                    let found = found.filter_map(|rest| rest.split('"').next());
                    page.links.extend(found.map(str::to_owned));
                }
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                page.anchors
                    .extend(heading.take().map(|heading| anchor(&heading)));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    page
}

/// The pages of `folder`.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs"), root.join("docs/guides")];
    let pages: BTreeMap<PathBuf, Page> = folders
        .iter()
        .flat_map(|folder| pages(folder))
        .map(|path| {
            let page = read(&path);
            (path, page)
        })
        .collect();
    let mut followed = 0;
    for (path, page) in &pages {
        let elsewhere = ["http://", "https://"];
        let links = page.links.iter();
        for link in links.filter(|link| !elsewhere.iter().any(|start| link.starts_with(start))) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            let place = format!("{} links to {link}", path.display());
            let target = fs::canonicalize(&target).unwrap_or_else(|_| panic!("{place}"));
            if !anchor.is_empty() {
                let known = pages.get(&target).unwrap_or_else(|| panic!("{place}"));
                assert!(
                    known.anchors.contains(anchor),
                    "{place}: {:?}",
                    known.anchors
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 50, "only {followed} links");
}

#[test]
fn the_contents_have_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let contents = ["README.md", "SUMMARY.md"].map(|name| docs.join(name));
    let all = [pages(&docs), pages(&docs.join("guides"))].concat();
    for table in &contents {
        let listed = read(table).links;
        for page in all.iter().filter(|page| !contents.contains(page)) {
            let page = page.strip_prefix(&docs).expect("below docs");
            let is_listed = listed.iter().any(|link| Path::new(link) == page);
            assert!(is_listed, "{} lacks {}", table.display(), page.display());
        }
    }
}
