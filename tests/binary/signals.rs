//! A signal that comes before the proxy runs waits until it does.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::process::{Sluss, config, tell};
use super::upgrade::until;
use super::{get, slow_backend};

/// A proxy whose configuration has still to be written: it has been started, and has come no further.
struct Starting {
    process: u32,
    fifo: std::path::PathBuf,
    text: String,
    started: thread::JoinHandle<Sluss>,
}

impl Starting {
    fn in_front_of(backend: &str, folder: &Path) -> Starting {
        let path = config(folder, backend, "");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        std::fs::remove_file(&path).expect("it was just written");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo, of coreutils").success());
        let number = folder.join("number");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$2\"; exec \"$0\" run --config \"$1\"", env!("CARGO_BIN_EXE_sluss")]);
        command.arg(&path).arg(&number).env_remove("RUST_LOG");
        let started = thread::spawn(move || Sluss::ready(&mut command));
        let read = || std::fs::read_to_string(&number).ok()?.trim().parse::<u32>().ok();
        until("it has a number", || read().is_some());
        let process = read().expect("a number");
        until("signals wait for it", || catches(process, [1, 2, 12, 15]));
        Starting { process, fifo: path, text, started }
    }

    /// Write the configuration to whoever reads it next.
    fn configure(&self) {
        std::fs::write(&self.fifo, &self.text).expect("somebody reads it");
    }

    /// It runs, and its configuration is written again, for who reads it then.
    fn runs(self) -> Sluss {
        let running = self.started.join().expect("it starts");
        thread::spawn(move || std::fs::write(&self.fifo, &self.text));
        running
    }
}

/// Whether a process does something of its own at all of these signals.
fn catches(process: u32, signals: [u32; 4]) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux tells");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
    signals.iter().all(|signal| caught & (1 << (signal - 1)) != 0)
}

#[test]
fn a_signal_before_the_configuration_is_read_is_heard_when_it_runs() {
    for _ in 0..3 {
        for signal in ["HUP", "TERM", "INT", "USR2"] {
            let folder = tempfile::tempdir().expect("a folder");
            let starting = Starting::in_front_of(&slow_backend(Duration::ZERO), folder.path());
            tell(starting.process, signal);
            // Whoever would die of it has died by then.
            thread::sleep(Duration::from_millis(20));
            starting.configure();
            match signal {
                "TERM" | "INT" => {
                    let mut running = starting.started.join().expect("it starts");
                    until("it goes down", || running.has_ended());
                    assert!(running.log().contains("\"message\":\"down\""), "{signal}: {}", running.log());
                }
                "HUP" => {
                    let running = starting.runs();
                    until("it has read it again", || running.log().contains("the configuration was read again"));
                    assert!(get(&running.address, "/horse/odds").expect("an answer").ends_with("whole"));
                }
                _ => {
                    let running = starting.runs();
                    until("it is followed", || running.followers().len() == 1);
                    assert!(get(&running.address, "/horse/odds").expect("an answer").ends_with("whole"));
                }
            }
        }
    }
}
