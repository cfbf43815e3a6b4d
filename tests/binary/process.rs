//! Processes that are gone when the test is.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// A running `sluss`, and those that followed it.
pub(crate) struct Sluss {
    child: Child,
    followers: Arc<Mutex<Vec<u32>>>,
    pub(crate) address: String,
    pub(crate) admin: String,
    log: Arc<Mutex<String>>,
}

/// A configuration with one product in front of `backend`, on ports that the system chooses.
pub(crate) fn config(folder: &Path, backend: &str, keys: &str) -> PathBuf {
    let path = folder.join("sluss.toml");
    let text = format!(
        "log = \"json\"\n[listen]\naddress = \"127.0.0.1:0\"\nspread = \"500ms\"\ndrain = \"10s\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [[product]]\nname = \"horse-racing\"\nmatch = [{{ path = \"/\" }}]\nbackends = [\"http://{backend}\"]\n{keys}\n\
         [[product.class]]\nclass = \"commit\"\nmatch = [{{ method = \"POST\", path = \"/horse/bets\" }}]\n"
    );
    std::fs::write(&path, text).expect("a disk");
    path
}

/// Run `sluss` to its end: what it prints.
#[track_caller]
pub(crate) fn sluss(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sluss")).args(arguments).output().expect("the executable");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Run `sluss` to its end, which must have this exit code: what it says is wrong.
#[track_caller]
pub(crate) fn sluss_fails(arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sluss")).args(arguments).output().expect("the executable");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

impl Sluss {
    /// Start it and wait until it takes requests.
    #[track_caller]
    pub(crate) fn start(config: &Path) -> Sluss {
        Sluss::ready(
            Command::new(env!("CARGO_BIN_EXE_sluss")).args(["run", "--config"]).arg(config).env_remove("RUST_LOG"),
        )
    }

    /// The same, from a link in this folder, which can be made to lead somewhere else.
    #[track_caller]
    pub(crate) fn start_from(folder: &Path, config: &Path) -> Sluss {
        lay(folder, Path::new(env!("CARGO_BIN_EXE_sluss")));
        let mut command = Command::new(folder.join("sluss"));
        Sluss::ready(command.args(["run", "--config"]).arg(config).env_remove("RUST_LOG"))
    }

    /// The same, with every line in its log that there is.
    #[track_caller]
    pub(crate) fn start_talkative(config: &Path) -> Sluss {
        Sluss::ready(
            Command::new(env!("CARGO_BIN_EXE_sluss")).args(["run", "--config"]).arg(config).env("RUST_LOG", "trace"),
        )
    }

    /// The same, with its standard output in this file.
    #[track_caller]
    pub(crate) fn start_into(output: &Path, config: &Path) -> Sluss {
        let run = "exec \"$0\" run --config \"$1\" > \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", run, env!("CARGO_BIN_EXE_sluss")]).arg(config).arg(output).env_remove("RUST_LOG");
        Sluss::ready(&mut command)
    }

    /// The same, with so many file descriptors at most.
    #[track_caller]
    pub(crate) fn start_with(descriptors: u32, config: &Path) -> Sluss {
        let run = format!("ulimit -n {descriptors}; exec \"$0\" run --config \"$1\"");
        Sluss::ready(
            Command::new("sh").args(["-c", &run, env!("CARGO_BIN_EXE_sluss")]).arg(config).env_remove("RUST_LOG"),
        )
    }

    #[track_caller]
    pub(crate) fn ready(command: &mut Command) -> Sluss {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the executable");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let ready = log.by_ref().map_while(Result::ok).find(|line| line.contains("sluss takes requests"));
        let ready: serde_json::Value = serde_json::from_str(&ready.expect("it starts")).expect("a line of JSON");
        // It must be able to write, whether anybody looks or not.
        let said = Arc::<Mutex<String>>::default();
        let followers = Arc::<Mutex<Vec<u32>>>::default();
        let (heard, seen) = (said.clone(), followers.clone());
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str::<serde_json::Value>(&line)
                    && line["message"] == "sluss takes requests"
                {
                    seen.lock().expect("no reader panics").push(line["process"].as_u64().expect("a number") as u32);
                }
                *heard.lock().expect("no reader panics") += &(line + "\n");
            }
        });
        let field = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Sluss { address: field("address"), admin: field("admin"), child, followers, log: said }
    }

    /// What it has written into its log since it was ready.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// From now on it opens no file with a higher number. What it has open, it keeps.
    pub(crate) fn may_open_files_below(&self, number: u32) {
        let (process, limit) = (self.child.id().to_string(), format!("--nofile={number}:"));
        let told = Command::new("prlimit").args(["--pid", &process, &limit]).status();
        assert!(told.expect("prlimit, of util-linux").success());
    }

    /// The processes that took over, in their order.
    pub(crate) fn followers(&self) -> Vec<u32> {
        self.followers.lock().expect("no reader panics").clone()
    }

    /// The process that was started first.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Send a signal to the process that was started first.
    pub(crate) fn signal(&self, signal: &str) {
        tell(self.child.id(), signal);
    }

    /// Whether the process that was started first has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// SIGTERM, and wait.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().expect("our own child")
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}

impl Drop for Sluss {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What is written into the log says who came later; nobody who has ended is meant.
        for process in self.followers().into_iter().filter(|process| is_sluss(*process)) {
            tell(process, "KILL");
        }
    }
}

/// Let what is called `sluss` in this folder be this file from now on.
pub(crate) fn lay(folder: &Path, program: &Path) {
    let next = folder.join("sluss.next");
    std::os::unix::fs::symlink(program, &next).expect("a disk");
    std::fs::rename(next, folder.join("sluss")).expect("a disk");
}

/// Send a signal.
pub(crate) fn tell(process: u32, signal: &str) {
    let told = Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).status();
    assert!(told.expect("kill").success());
}

/// Whether there is a process of this number, and it is ours.
pub(crate) fn is_sluss(process: u32) -> bool {
    let running = std::fs::read_link(format!("/proc/{process}/exe"));
    running.is_ok_and(|path| path.to_string_lossy().contains("sluss"))
}
