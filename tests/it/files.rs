//! The database as a file: who may read it, what a copy of it has, and what happens when it goes away under the
//! process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use serde_json::Value;

use crate::{
    helpers::{Setup, TestApp, mount_openai},
    running::{Running, command_with_providers, sqlx_exec},
};

/// A file beside the database.
fn beside(setup: &Setup, ending: &str) -> PathBuf {
    let mut path = setup.database_path().into_os_string();
    path.push(ending);
    path.into()
}

async fn database_error(app: &TestApp) -> Value {
    app.sources().await["database_error"]["message"].clone()
}

#[tokio::test]
async fn only_the_owner_may_read_it() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    for ending in ["", "-wal", "-shm", ".lock"] {
        let path = beside(&setup, ending);
        let mode = fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    app.stop().await;
    // What the operator has allowed stays allowed.
    let readable = fs::Permissions::from_mode(0o640);
    fs::set_permissions(setup.database_path(), readable).expect("set");
    setup.start_ready().await.stop().await;
    let mode = fs::metadata(setup.database_path()).expect("it exists");
    assert_eq!(mode.permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn a_copy_of_the_file_alone_is_soon_whole() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let expected = app.models().await.ids().len();
    let copied = Setup::new().await;
    app.until("the copy has every model", async |_| {
        fs::copy(setup.database_path(), copied.database_path()).expect("copied");
        let tables = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'cloud_models'";
        if copied.sql(tables).await[0][0] == 0 {
            return false;
        }
        let models = copied.sql("SELECT COUNT(*) FROM cloud_models").await;
        models[0][0].as_u64() == Some(expected as u64)
    })
    .await;
    app.stop().await;
}

/// What must hold while the file is gone, which `became` says how.
async fn assert_waits(setup: &Setup, app: &TestApp, became: &str) {
    let listed = app.models().await;
    app.until("it is said", async |app| {
        database_error(app).await.is_string()
    })
    .await;
    let message = database_error(app).await.to_string();
    assert!(
        message.contains(became) && message.contains("catalog.db"),
        "{message}"
    );
    assert_eq!(app.get("/catalog.sqlite").await.status, 503);
    setup.advance(TimeDelta::minutes(1));
    assert_eq!(
        app.refresh("openai").await["outcome"],
        "failed",
        "nothing is written"
    );
    let again = app.models().await;
    assert_eq!((again.status, &again.body), (200, &listed.body));
    assert_eq!(app.get("/catalog/changes").await.status, 200);
}

#[tokio::test]
async fn a_deleted_database_is_noticed_and_goes_on_when_it_is_back() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let away = setup.directory.path().join("away.db");
    fs::rename(setup.database_path(), &away).expect("moved");
    assert_waits(&setup, &app, "deleted").await;
    assert!(
        !setup.database_path().exists(),
        "nothing was made in its place"
    );
    fs::rename(&away, setup.database_path()).expect("moved back");
    app.until("it is well again", async |app| {
        database_error(app).await.is_null()
    })
    .await;
    mount_more(&setup).await;
    app.until("it is written again", async |app| {
        setup.advance(TimeDelta::minutes(1));
        app.refresh("openai").await["outcome"] == "changed"
    })
    .await;
    assert_eq!(app.get("/catalog.sqlite").await.status, 200);
    app.stop().await;
    setup.assert_events_replay().await;
}

async fn mount_more(setup: &Setup) {
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-c"]).await;
}

#[tokio::test]
async fn a_replaced_database_is_noticed_and_the_other_left_alone() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let other = setup.directory.path().join("other.db");
    fs::write(&other, "").expect("written");
    fs::rename(&other, setup.database_path()).expect("replaced");
    assert_waits(&setup, &app, "replaced").await;
    app.stop().await;
    let other = fs::metadata(setup.database_path()).expect("it is there");
    assert_eq!(other.len(), 0);
}

/// The files in `directory`, and those without a name that `process` still has open there.
#[cfg(target_os = "linux")]
fn temporary(directory: &Path, process: u32) -> (usize, usize) {
    let named = fs::read_dir(directory).expect("readable").count();
    let open = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten();
    let targets = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let unnamed = targets.filter(|target| {
        target.starts_with(directory) && target.to_string_lossy().ends_with(" (deleted)")
    });
    (named, unnamed.count())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_copy_leaves_nothing_behind_when_it_is_killed() {
    let setup = Setup::happy().await;
    let temporary_folder = tempfile::tempdir().expect("a directory");
    let start = async || {
        let mut command = command_with_providers(&setup);
        command.env("TMPDIR", temporary_folder.path());
        Running::start(command).await
    };
    start().await.stop("-TERM");
    // 64 MB, so that a copy takes a while.
    sqlx_exec(
        &setup,
        "CREATE TABLE large AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 64)
         SELECT randomblob(1000000) AS noise FROM n",
    )
    .await;
    let mut running = start().await;
    let copying = running
        .http
        .get(format!("{}/catalog.sqlite", running.base))
        .send();
    let copying = tokio::spawn(copying);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let (0, 1..) = temporary(temporary_folder.path(), running.pid()) {
            break;
        }
        assert!(
            Instant::now() < deadline && !copying.is_finished(),
            "a copy without a name"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stop("-KILL");
    drop(copying.await);
    let left = fs::read_dir(temporary_folder.path())
        .expect("readable")
        .count();
    assert_eq!(left, 0);
}
