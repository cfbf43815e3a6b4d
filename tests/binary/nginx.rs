//! A real nginx behind, curl in front.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Sluss, config};

struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(folder: &Path) -> Nginx {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let at = folder.display();
        let text = format!(
            "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log stderr;\nevents {{ }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; client_max_body_size 16m;\n\
             server {{ listen {free};\n\
             location /horse/echo {{ return 200 \"$request_method $http_x_forwarded_for $content_length\"; }}\n\
             location / {{ root {at}/www; }} }} }}\n"
        );
        std::fs::write(folder.join("nginx.conf"), text).expect("a disk");
        let program = find("nginx", "nginx");
        let conf = folder.join("nginx.conf");
        let child = Command::new(program)
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(conf)
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Nginx { child, address: free.to_string() };
        let started = Instant::now();
        while std::net::TcpStream::connect(free).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that the master takes its worker along.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is missing: install Debian's package {package}"))
}

/// What curl gets: its output with `-w` behind it.
#[track_caller]
fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(find("curl", "curl")).args(["-sS", "--max-time", "20"]).args(arguments).output();
    let output = output.expect("curl starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn curl_text(arguments: &[&str]) -> String {
    String::from_utf8(curl(arguments)).expect("text")
}

#[test]
fn a_real_nginx_answers_a_real_curl_as_if_nothing_stood_between() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("www/horse")).expect("a disk");
    let file: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(folder.path().join("www/horse/film"), &file).expect("a disk");
    // Its worker is another user when we are root.
    let _ = Command::new("chmod").arg("-R").arg("a+rX").arg(folder.path()).status();
    let nginx = Nginx::start(folder.path());
    let running = Sluss::start(&config(folder.path(), &nginx.address, ""));
    let film = format!("http://{}/horse/film", running.address);
    let echo = format!("http://{}/horse/echo", running.address);

    assert!(curl(&[&film]) == file, "5 MB come through byte by byte");
    assert!(curl(&["--http1.0", &film]) == file);
    assert!(curl(&["-r", "1000-1999", &film]) == file[1000..2000]);
    let status = |more: &[&str]| {
        let mut arguments = vec!["-o", "/dev/null", "-w", "%{http_code} %{size_download}"];
        arguments.extend(more);
        curl_text(&arguments)
    };
    assert_eq!(status(&["-r", "0-9", &film]), "206 10");
    let head = curl_text(&["-I", &film]);
    assert!(head.to_lowercase().contains("content-length: 5000000"), "{head}");
    let tag = head.lines().find_map(|line| line.to_lowercase().strip_prefix("etag: ").map(str::to_owned));
    let unchanged = format!("If-None-Match: {}", tag.expect("nginx sends an ETag"));
    assert_eq!(status(&["-H", &unchanged, &film]), "304 0");
    assert_eq!(curl_text(&["-d", "a bet", &echo]), "POST 127.0.0.1 5");
    // The second upload is announced with `Expect`, which curl does by itself for a megabyte.
    let upload = folder.path().join("upload");
    std::fs::write(&upload, &file[..1_000_000]).expect("a disk");
    let upload = format!("@{}", upload.display());
    assert_eq!(curl_text(&["--data-binary", &upload, &echo]), "POST 127.0.0.1 1000000");
    assert_eq!(
        status(&["-H", "Transfer-Encoding: chunked", "--data-binary", &upload, &echo]).split(' ').next(),
        Some("200")
    );
    let reused = curl_text(&["-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", &echo, &echo]);
    assert_eq!(reused, "1 0 ");
    assert_eq!(status(&[&format!("http://{}/horse/none", running.address)]).split(' ').next(), Some("404"));
}
