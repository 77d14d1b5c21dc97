//! `backup` and `restore`: a whole copy while the service writes, checked before it is believed, put back
//! without losing what was there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    commands::{Ended, run},
    helpers::{Setup, TestApp, mount_openai},
};
use chrono::TimeDelta;

/// Overwrites the middle of the file at `path`, leaving its header as it is.
fn corrupt(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let (from, to) = (bytes.len() / 4, bytes.len() * 3 / 4);
    bytes[from..to].fill(0xa5);
    fs::write(path, bytes).expect("written");
}

/// Gives the database at `path` an index with the content of another.
async fn make_index_wrong(path: &str) {
    use sqlx::{Connection, Executor, SqliteConnection};
    let url = format!("sqlite://{path}");
    let mut connection = SqliteConnection::connect(&url).await.expect("it opens");
    for sql in [
        "CREATE INDEX odd ON model_events (event)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX odd ON model_events (model_id)' WHERE name = 'odd'",
    ] {
        connection.execute(sql).await.expect("done");
    }
    connection.close().await.expect("closed");
}

/// A catalog with one provider that lists `a` and `b`.
async fn running() -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let app = setup.start_ready().await;
    (setup, app)
}

fn path_in(setup: &Setup, name: &str) -> String {
    let folder = setup.database_path();
    let folder = folder.parent().expect("a folder");
    folder.join(name).display().to_string()
}

/// Stops `app` and waits until its last connection is closed: SQLite removes the log with it.
async fn stop(setup: &Setup, app: TestApp) {
    app.stop().await;
    let wal = path_in(setup, "catalog.db-wal");
    let deadline = Instant::now() + Duration::from_secs(20);
    while Path::new(&wal).exists() {
        assert!(Instant::now() < deadline, "the database stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ids(setup: &Setup, database: &str) -> String {
    let url = format!("sqlite://{database}");
    let ended = run(setup, &["list", "--ids", "--database-url", &url]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.out
}

fn succeeds(setup: &Setup, arguments: &[&str]) -> Ended {
    let ended = run(setup, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
    ended
}

fn fails(setup: &Setup, arguments: &[&str], expected: &str) {
    let ended = run(setup, arguments);
    assert_eq!(
        ended.code,
        Some(2),
        "{arguments:?}: {}{}",
        ended.out,
        ended.err
    );
    assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
}

/// The files beside the database, without it and the file that starts lock.
fn others(setup: &Setup) -> Vec<String> {
    let path = setup.database_path();
    let folder = fs::read_dir(path.parent().expect("a folder")).expect("readable");
    let names = folder.map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("text")
    });
    let own = path.file_name().expect("a name").to_str().expect("text");
    let mut names: Vec<_> = names
        .filter(|name| name != own && *name != format!("{own}.lock"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_catalog_is_whole_private_and_restored() {
    let (setup, app) = running().await;
    let url = app.url("");
    let (of_file, of_url) = (
        path_in(&setup, "file.sqlite"),
        path_in(&setup, "url.sqlite"),
    );
    let said = succeeds(&setup, &["backup", &of_file]).out;
    assert!(said.contains("revision 1 of "), "{said}");
    succeeds(&setup, &["backup", &of_url, "--url", &url]);
    for copy in [&of_file, &of_url] {
        assert_eq!(ids(&setup, copy), "openai:a\nopenai:b\n");
        let mode = fs::metadata(copy).expect("a copy").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{copy}");
    }
    fails(&setup, &["backup", &of_file], "exists");
    setup.advance(TimeDelta::seconds(31));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "c"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    succeeds(&setup, &["backup", &of_url, "--force"]);
    assert_eq!(ids(&setup, &of_url), "openai:a\nopenai:c\n");

    fails(&setup, &["restore", &of_file], "in use");
    stop(&setup, app).await;
    let before = fs::read(setup.database_path()).expect("a database");
    let said = succeeds(&setup, &["restore", &of_file]).out;
    assert!(said.contains("revision 1 of "), "{said}");
    let database = setup.database_path().display().to_string();
    assert_eq!(ids(&setup, &database), "openai:a\nopenai:b\n");
    let kept: Vec<_> = others(&setup)
        .into_iter()
        .filter(|name| name.contains(".replaced-"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(said.contains(&kept[0]), "{said}");
    assert_eq!(
        ids(&setup, &path_in(&setup, &kept[0])),
        "openai:a\nopenai:c\n"
    );
    let kept = fs::read(path_in(&setup, &kept[0])).expect("kept");
    // All but the header, which says whether there is a log beside it.
    assert_eq!(kept[100..], before[100..]);

    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["openai:a", "openai:b"]);
    setup.advance(TimeDelta::seconds(31));
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    assert_eq!(app.models().await.ids(), ["openai:a", "openai:c"]);
    setup.assert_events_replay().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_catalog_is_not_restored() {
    let (setup, app) = running().await;
    let good = path_in(&setup, "good.sqlite");
    succeeds(&setup, &["backup", &good]);
    stop(&setup, app).await;
    let database = setup.database_path();
    let before = fs::read(&database).expect("a database");
    let torn = path_in(&setup, "torn.sqlite");
    let whole = fs::read(&good).expect("a copy");
    fs::write(&torn, &whole[..whole.len() / 2]).expect("written");
    let odd = path_in(&setup, "odd.sqlite");
    fs::write(&odd, &whole).expect("written");
    corrupt(Path::new(&odd));
    let text = path_in(&setup, "text.sqlite");
    fs::write(&text, "no database at all, but longer than a header of SQLite, which is 100 bytes long, as this is.")
        .expect("written");
    let empty = path_in(&setup, "empty.sqlite");
    fs::write(&empty, "").expect("written");
    // Every page can be read, and an index does not say what its table does.
    let unlike = path_in(&setup, "unlike.sqlite");
    fs::write(&unlike, &whole).expect("written");
    make_index_wrong(&unlike).await;
    for (file, expected) in [
        (unlike.as_str(), "index odd"),
        (torn.as_str(), "torn.sqlite"),
        (&odd, "odd.sqlite"),
        (&text, "text.sqlite"),
        (&empty, "no catalog"),
        ("/nowhere.sqlite", "there is no file /nowhere.sqlite"),
    ] {
        fails(&setup, &["restore", file], expected);
        assert_eq!(fs::read(&database).expect("a database"), before, "{file}");
    }
    let left: Vec<_> = others(&setup);
    let all = [
        "empty.sqlite",
        "good.sqlite",
        "odd.sqlite",
        "text.sqlite",
        "torn.sqlite",
        "unlike.sqlite",
    ];
    assert_eq!(left, all);
    // The database itself is no backup of itself.
    fails(
        &setup,
        &["restore", &database.display().to_string()],
        "itself",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_database_is_replaced() {
    let (setup, app) = running().await;
    let good = path_in(&setup, "good.sqlite");
    succeeds(&setup, &["backup", &good]);
    stop(&setup, app).await;
    let database = setup.database_path();
    let damaged = "what a fault of the disk left";
    fs::write(&database, damaged).expect("written");
    fs::write(path_in(&setup, "catalog.db-wal"), "the log of a crash").expect("written");
    succeeds(&setup, &["restore", &good]);
    let name = database.display().to_string();
    assert_eq!(ids(&setup, &name), "openai:a\nopenai:b\n");
    // What was there is kept as it was, and no log of it is left for what is there now.
    let beside = others(&setup);
    assert!(!beside.contains(&"catalog.db-wal".to_owned()), "{beside:?}");
    let kept = beside
        .iter()
        .find(|name| name.contains(".replaced-") && !name.ends_with("-wal"));
    let kept = path_in(&setup, kept.expect("the damaged file"));
    assert_eq!(fs::read_to_string(kept).expect("kept"), damaged);
    fs::remove_file(&database).expect("removed");
    let said = succeeds(&setup, &["restore", &good]).out;
    assert!(!said.contains("kept"), "{said}");
    assert_eq!(ids(&setup, &name), "openai:a\nopenai:b\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_made_leaves_nothing() {
    let (setup, app) = running().await;
    fails(&setup, &["backup", "/nowhere/at.sqlite"], "/nowhere");
    let absent = [
        "backup",
        "copy.sqlite",
        "--database-url",
        "sqlite:///nowhere.db",
    ];
    fails(&setup, &absent, "there is no database /nowhere.db");
    let copy = path_in(&setup, "copy.sqlite");
    fails(
        &setup,
        &["backup", &copy, "--url", &app.url("nothing/here")],
        "--url",
    );
    assert!(!others(&setup).contains(&"copy.sqlite".to_owned()));
}
