//! `sluss simulate`: what it prints, what it writes, how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Run `sluss simulate` to its end.
fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluss"));
    command.arg("simulate").args(arguments).output().expect("the executable")
}

/// What it printed and said, and its exit code.
#[track_caller]
fn told(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr), output.status.code().expect("it ended by itself"))
}

/// The scenario beside this file, in a folder of its own, perhaps with something in it changed.
fn scenario(folder: &Path, from: &str, to: &str) -> PathBuf {
    let path = folder.join("rehearsal.toml");
    std::fs::write(&path, include_str!("rehearsal.toml").replacen(from, to, 1)).expect("a disk");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_rehearsal_that_disappoints_names_the_command_that_replays_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let (printed, said, code) = told(&simulate(&[text(&path), "--seeds", "2"]));
    assert_eq!((code, said.as_str()), (1, ""), "no bar where there is no terminal");
    assert!(printed.contains("1 of 2 expectations held"), "{printed}");
    let replay = printed.lines().find_map(|line| line.trim().strip_prefix("look at it: sluss simulate "));
    let replay = replay.expect("the command");
    assert!(replay.ends_with(" --against none"), "{replay}");
    let words: Vec<&str> = replay.split(' ').collect();
    let (again, _, code) = told(&simulate(&words));
    assert_eq!(code, 1);
    assert!(again.contains(replay), "the same seed fails again: {again}");
}

#[test]
fn what_holds_ends_with_zero_and_other_laws_are_not_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let (printed, _, code) = told(&simulate(&[text(&path), "--against", "sluss"]));
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("1 of 1 expectations held"), "{printed}");
}

#[test]
fn one_command_gives_the_same_to_the_last_byte_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let files = |turn: &str| ["html", "md", "json", "svg"].map(|kind| folder.path().join(format!("{turn}.{kind}")));
    let run = |files: &[PathBuf; 4]| {
        let [page, tables, numbers, picture] = files.each_ref().map(|path| text(path));
        let written = ["--report", page, "--markdown", tables, "--json", numbers, "--picture", picture];
        let output = simulate(&[&[text(&path), "--seed", "3", "--seeds", "2"], &written[..]].concat());
        let contents = files.each_ref().map(|path| std::fs::read_to_string(path).expect("it was written"));
        (told(&output), contents)
    };
    let (first, second) = (run(&files("first")), run(&files("second")));
    assert!(first == second);
    let [page, tables, numbers, picture] = &first.1;
    assert!(page.contains("a short closure") && page.contains("<svg"));
    assert!(tables.contains("| law | figure | expected | found | verdict |"));
    assert!(numbers.contains("\"held\": true"));
    assert!(picture.contains("bets placed"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_ends_with_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "capacity", "capaicty");
    let missing = folder.path().join("missing.toml");
    let (printed, said, code) = told(&simulate(&[text(&path), text(&missing)]));
    assert_eq!((code, printed.as_str()), (2, ""));
    assert!(said.contains("capaicty") && said.contains("`capacity`"), "{said}");
    assert!(said.contains("missing.toml"), "{said}");
}

#[test]
fn a_law_that_nobody_knows_is_refused_with_those_that_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let (_, said, code) = told(&simulate(&[text(&path), "--against", "vagas"]));
    assert_eq!(code, 2);
    assert!(said.contains("rehearsal.toml") && said.contains("vagas") && said.contains("vegas"), "{said}");
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let nowhere = folder.path().join("no such folder/report.html");
    let (printed, said, code) = told(&simulate(&[text(&path), "--report", text(&nowhere)]));
    assert_eq!((code, printed.as_str()), (2, ""));
    assert!(said.contains("cannot write") && said.contains("a folder that exists"), "{said}");
}

#[test]
fn a_picture_of_one_law_alone_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let picture = folder.path().join("picture.svg");
    let (_, said, code) = told(&simulate(&[text(&path), "--against", "sluss", "--picture", text(&picture)]));
    assert_eq!(code, 2);
    assert!(said.contains("--against none"), "{said}");
    assert!(!picture.exists(), "nothing is left behind");
}

#[test]
fn seeds_are_at_least_one_and_do_not_run_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = scenario(folder.path(), "", "");
    let most = u64::MAX.to_string();
    assert_eq!(told(&simulate(&[text(&path), "--seeds", "0"])).2, 2);
    let (_, said, code) = told(&simulate(&[text(&path), "--seed", &most, "--seeds", "2"]));
    assert_eq!(code, 2);
    assert!(said.contains("no more seeds"), "{said}");
}
