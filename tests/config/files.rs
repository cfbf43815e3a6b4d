//! Files that cannot be used, and files that lie beside the configuration.

use std::fs;
use std::path::{Path, PathBuf};

use sluss::config;

use super::{MadeUp, in_repository, parse};

fn said(path: &Path) -> String {
    let error = config::load(path).expect_err("this cannot be a configuration");
    error.to_string().replace(&path.display().to_string(), "PATH")
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        said(&folder.path().join("demo.toml")),
        "PATH: there is no such file\n  help: check the path: `ls -l PATH`"
    );
}

#[test]
fn a_directory_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(said(folder.path()), "PATH: this is a directory, not a file\n  help: name the file in it");
}

#[test]
fn an_empty_file_is_told_the_least_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    fs::write(&path, " \n").unwrap();
    assert!(said(&path).starts_with("PATH: the file is empty\n  help: the least that works is\n        [[product]]\n"));
}

#[test]
fn what_is_not_utf8_is_told_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    fs::write(&path, b"# f\xc3\xb6r\n# f\xf6r\n").unwrap();
    assert_eq!(
        said(&path),
        "PATH: line 2 is not UTF-8 (byte 0xf6)\n  help: save it as UTF-8; an editor set to Latin-1 writes å, ä and ö like this"
    );
    fs::write(&path, b"\xff\xfel\0o\0g\0").unwrap();
    assert_eq!(said(&path), "PATH: the text is UTF-16\n  help: save it as UTF-8");
}

#[test]
fn what_is_too_large_is_not_read_to_the_end() {
    assert_eq!(
        said(Path::new("/dev/zero")),
        "PATH: this is larger than 1 MiB, so it is no configuration\n  help: check the path"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_says_who_may_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    fs::write(&path, "log = \"auto\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        return; // root reads everything
    }
    let said = said(&path);
    assert!(said.starts_with("PATH: the user that sluss runs as may not read it\n"), "{said}");
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    fs::copy(in_repository("examples/three-products.toml"), &path).unwrap();
    fs::copy(in_repository("examples/schedule.toml"), folder.path().join("schedule.toml")).unwrap();
    let config = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.events.len(), 2);
}

#[test]
fn a_mark_at_the_beginning_of_the_file_does_no_harm() {
    let text = super::text_of("examples/one-product.toml");
    assert!(parse(&format!("\u{feff}{text}"), &MadeUp::default()).is_ok());
    assert!(parse(&text.replace('\n', "\r\n"), &MadeUp::default()).is_ok());
}

const LEAST: &str = "\n[[product]]\nname = \"a\"\nmatch = [{ path = \"/\" }]\nbackends = [\"http://127.0.0.1:9101\"]\n";

fn journal(line: &str, around: &MadeUp, name: &str) -> Option<PathBuf> {
    let config = config::parse(&format!("{line}{LEAST}"), Path::new(name), around);
    config.unwrap_or_else(|error| panic!("{error}")).journal
}

#[test]
fn the_journal_lies_beside_the_file_unless_systemd_has_a_place_for_it() {
    let here = MadeUp::default();
    let systemd = MadeUp { state_directory: Some(PathBuf::from("/var/lib/sluss")), ..MadeUp::default() };
    assert_eq!(journal("", &here, "/etc/sluss/demo.toml").unwrap(), Path::new("/etc/sluss/demo.journal"));
    assert_eq!(journal("", &here, "demo").unwrap(), Path::new("demo.journal"));
    assert_eq!(journal("", &systemd, "/etc/sluss/demo.toml").unwrap(), Path::new("/var/lib/sluss/sluss.journal"));
    assert_eq!(journal("journal = \"a\"", &systemd, "/etc/sluss/demo.toml").unwrap(), Path::new("/etc/sluss/a"));
    assert_eq!(journal("journal = \"/tmp/a\"", &here, "demo.toml").unwrap(), Path::new("/tmp/a"));
    assert_eq!(journal("journal = \"off\"", &systemd, "demo.toml"), None);
}

#[test]
fn a_token_may_lie_in_a_file_of_its_own() {
    let text = format!("[admin]\naddress = \"10.0.0.1:9900\"\ntoken_file = \"admin.token\"\n{LEAST}");
    let config = parse(&text, &MadeUp::default().with("admin.token", "0123456789abcdef\n")).unwrap();
    assert_eq!(config.admin.token.as_deref(), Some("0123456789abcdef"));
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "a token does not stand in logs");
    let error = parse(&text, &MadeUp::default().with("admin.token", "")).unwrap_err().to_string();
    assert!(error.contains("the token has 0 characters"), "{error}");
    assert!(parse(&text, &MadeUp::default().with("admin.token", b"\xff\xff\xff")).is_err());
}
