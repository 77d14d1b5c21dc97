//! What systemd is told, by its protocol: datagrams to the socket that it names.

use std::{os::unix::net::UnixDatagram, time::Duration};

use crate::{
    helpers::Setup,
    running::{Running, command},
};

#[tokio::test]
async fn systemd_is_told_that_it_serves_is_well_and_stops() {
    let setup = Setup::new().await;
    let path = setup.directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    let told = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut service = command(&setup);
    service
        .args(["--listen", "127.0.0.1:0"])
        .env("MODEL_CATALOG_DISCOVER", "false")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "150000");
    let mut running = Running::start(service).await;
    assert_eq!(told(), "READY=1");
    // Each within a third of what systemd waits for.
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    assert_eq!(running.stop("-TERM").0, Some(0));
    let last = std::iter::repeat_with(told).find(|message| message != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}
