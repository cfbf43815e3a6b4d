//! What a service manager hears: systemd's protocol, by a manager of our own.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Sluss, config, sluss};
use super::slow_backend;
use super::upgrade::until;

/// A service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn listens(folder: &Path) -> Manager {
        let socket = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        Manager(socket)
    }

    fn hears(&self) -> String {
        let mut word = [0; 1024];
        let length = self.0.recv(&mut word).expect("a word");
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    /// The next word that is no beat.
    fn hears_news(&self) -> String {
        loop {
            let word = self.hears();
            if word != "WATCHDOG=1\n" {
                return word;
            }
        }
    }

    fn starts(&self, folder: &Path, config: &Path, watchdog_ms: u64) -> Sluss {
        let mut command = Command::new("sh");
        command
            .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" run --config \"$1\"", env!("CARGO_BIN_EXE_sluss")])
            .arg(config)
            .env_remove("RUST_LOG")
            .env("NOTIFY_SOCKET", folder.join("notify"));
        if watchdog_ms > 0 {
            command.env("WATCHDOG_USEC", (watchdog_ms * 1000).to_string());
        }
        Sluss::ready(&mut command)
    }
}

#[test]
fn a_manager_hears_when_the_configuration_is_read_again_and_when_that_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(folder.path(), &slow_backend(Duration::ZERO), "");
    let manager = Manager::listens(folder.path());
    let running = manager.starts(folder.path(), &path, 0);
    assert!(manager.hears().starts_with("READY=1\n"));
    let sound = std::fs::read_to_string(&path).expect("the configuration");
    let mut before = 0;
    for (text, status) in [(sound.clone(), "taking requests\n"), ("nonsense".to_owned(), "cannot be taken up")] {
        std::fs::write(&path, text).expect("a disk");
        running.hang_up();
        let word = manager.hears();
        let since = word.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("it reloads");
        let since: u64 = since.lines().next().expect("a line").parse().expect("microseconds");
        assert!(since > before, "{word}");
        before = since;
        let word = manager.hears();
        assert!(word.starts_with("READY=1\nSTATUS=") && word.contains(status), "{word}");
    }
    assert!(running.terminate().success());
    assert!(manager.hears().starts_with("STOPPING=1\n"));
}

#[test]
fn a_watchdog_hears_that_it_is_alive_from_the_process_that_follows_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(folder.path(), &slow_backend(Duration::ZERO), "");
    let manager = Manager::listens(folder.path());
    let mut running = manager.starts(folder.path(), &path, 1000);
    assert!(manager.hears_news().starts_with("READY=1\n"));
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
    }
    // Twice in the time that is allowed.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    sluss(&["upgrade", "--reason", "a test", "--admin", &running.admin]);
    until("the old one has ended", || running.has_ended());
    manager.0.set_nonblocking(true).expect("a socket");
    while manager.0.recv(&mut [0; 1024]).is_ok() {}
    manager.0.set_nonblocking(false).expect("a socket");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
    }
}
