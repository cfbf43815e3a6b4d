//! The real proxy as a child of the demo, set up as an operator would: one file, a schedule, and nothing told about
//! what the backends can do.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::customers::Doors;
use super::script::Script;
use super::{Failure, errand};

mod written;

use written::{configuration, schedule};

/// Until `/readyz` says yes.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// From SIGTERM to the end, with nobody left to serve.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Where the proxy listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Ports {
    /// The ones asked for, or the customary ones, or, unless somebody is to find them, any that are free.
    pub(super) fn choose(listen: Option<SocketAddr>, admin: Option<SocketAddr>, keep: bool) -> Result<Self, Failure> {
        let choose = |asked: Option<SocketAddr>, customary: u16, option: &str| {
            let port = if keep { customary } else { 0 };
            let wanted = asked.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            let held = TcpListener::bind(wanted).and_then(|listener| listener.local_addr().map(|at| (listener, at)));
            held.map_err(|error| {
                Failure::new(format!("{wanted}: {error}; free it, or choose another with {option} ADDRESS:PORT"))
            })
        };
        // Both are held until both are known, so that they differ.
        let (listen, admin) = (choose(listen, 8080, "--listen")?, choose(admin, 9900, "--admin")?);
        Ok(Self { listen: listen.1, admin: admin.1 })
    }
}

/// A running proxy. Dropped without [`Proxy::stop`], it is killed.
pub(super) struct Proxy {
    child: Child,
    script: Rc<Script>,
    folder: PathBuf,
    pub(super) ports: Ports,
}

impl Proxy {
    /// Writes the configuration, starts `sluss run` on it and waits until it is ready.
    pub(super) async fn start(script: &Rc<Script>, ports: Ports, backends: &Doors) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("the proxy could not be started: {error}"));
        let folder = std::env::temp_dir().join(format!("sluss-demo-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed)?;
        fs::write(folder.join("demo.toml"), configuration(script, ports, backends)).map_err(failed)?;
        fs::write(folder.join("schedule.toml"), schedule(script)).map_err(failed)?;
        let log = File::create(folder.join("proxy.log")).map_err(failed)?;
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["run", "--config", "demo.toml"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // Ctrl-C is for the demo; it then ends the proxy as an operator would.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut proxy = Self { child, script: Rc::clone(script), folder, ports };
        proxy.ready().await?;
        Ok(proxy)
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let asked = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let words = self.last_words();
                return Err(Failure::new(format!("the proxy ended ({status}) before it was ready: {words}")));
            }
            if let Ok((StatusCode::OK, _)) = errand::get(self.ports.admin, "/readyz").await {
                return Ok(());
            }
            if asked.elapsed() > READY_WITHIN {
                let words = self.last_words();
                return Err(Failure::new(format!(
                    "the proxy was not ready within {} s: {words}",
                    READY_WITHIN.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The false signal of 16:06: close the race, says one feed, fourteen minutes before the stop.
    pub(super) async fn false_signal(&self) -> Result<(), Failure> {
        let signal = json!({ "signal": "close", "event": self.script.closed().name, "source": "tote-feed" });
        let told = self.tell("/api/v1/signals", &signal).await?;
        if told["plausible"] != false || told["state"] != "parked" {
            return Err(Failure::new(format!(
                "a close signal 14 minutes before the stop should park the event as implausible, but the proxy said {told}"
            )));
        }
        Ok(())
    }

    /// A person reopens.
    pub(super) async fn reopen(&self) -> Result<(), Failure> {
        let order =
            json!({ "order": "reopen", "event": self.script.closed().name, "reason": "false signal", "who": "demo" });
        self.tell("/api/v1/orders", &order).await.map(|_| ())
    }

    async fn tell(&self, path: &str, what: &Value) -> Result<Value, Failure> {
        let (status, body) = errand::post(self.ports.admin, path, what.to_string()).await?;
        let said = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Failure::new(format!("the proxy answered {status} to {what} on {path}: {said}")));
        }
        serde_json::from_str(&said).map_err(|_| Failure::new(format!("{path} should answer JSON, but said {said:?}")))
    }

    /// SIGTERM, and nothing else; it must end by itself and cleanly.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        // The shell's own `kill`: a minimal system has no other, and std sends nothing but SIGKILL.
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -TERM "$0""#, &pid]).status();
        if !sent.is_ok_and(|status| status.success()) {
            return Err(Failure::new("SIGTERM could not be sent to the proxy"));
        }
        let asked = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return self.parted(status),
                Ok(None) if asked.elapsed() < GONE_WITHIN => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => {
                    return Err(Failure::new(format!(
                        "the proxy had not ended {} s after SIGTERM with nobody left to serve",
                        GONE_WITHIN.as_secs()
                    )));
                }
            }
        }
    }

    fn parted(&self, status: ExitStatus) -> Result<(), Failure> {
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("the proxy did not end cleanly after SIGTERM ({status}): {}", self.last_words())))
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("proxy.log")).unwrap_or_default();
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
    }

    /// The configuration it runs with.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("demo.toml")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_said_with_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        let said = Ports::choose(Some(address), None, false).expect_err("it is taken").to_string();
        assert!(said.contains("--listen"), "{said}");
        let free = Ports::choose(None, None, false).expect("free ports");
        assert_ne!(free.listen, free.admin);
    }
}
