//! The configuration read again by signal and by order.

use std::time::{Duration, Instant};

use super::process::{Sluss, config, sluss, sluss_fails};
use super::{get, slow_backend};

#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_hangup_has_the_configuration_read_again_and_a_mistake_in_it_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = slow_backend(Duration::ZERO);
    let path = config(folder.path(), &backend, "");
    let sound = std::fs::read_to_string(&path).expect("it was just written");
    let running = Sluss::start(&path);
    let casino = format!(
        "[[product]]\nname = \"casino\"\nmatch = [{{ path = \"/casino/\" }}]\nbackends = [\"http://{}\"]\n",
        slow_backend(Duration::ZERO)
    );
    let status = || sluss(&["status", "--admin", &running.admin]);
    std::fs::write(&path, sound.replacen("[[product]]", &format!("{casino}[[product]]"), 1)).expect("a disk");
    running.hang_up();
    until("the casino is there", || status().contains("casino"));
    assert!(!status().contains("cannot be taken up"), "{}", status());
    std::fs::write(&path, format!("{sound}limit = 0\n")).expect("a disk");
    running.hang_up();
    until("an alarm", || status().contains("the configuration cannot be taken up, so nothing was changed"));
    let said = sluss_fails(&["reload", "--admin", &running.admin], 1);
    assert!(said.contains("sluss.toml:") && said.contains("limit"), "{said}");
    assert!(get(&running.address, "/horse/odds").expect("an answer").ends_with("whole"));
    std::fs::write(&path, &sound).expect("a disk");
    let said = sluss(&["reload", "--who", "anna", "--admin", &running.admin]);
    assert_eq!(said, "the configuration was read again, and counts: 1 product, gone: casino\n");
    assert!(!status().contains("cannot be taken up"));
    assert!(running.terminate().success());
}
