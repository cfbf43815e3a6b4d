//! What strangers can send, each kind as a function of its bytes: for a fuzzer, and for the inputs it once found.
//!
//! Not a part of the proxy. The functions are there in tests, which read every input under `fuzz/corpus` again, and for the
//! engine in `fuzz`, which builds with `--cfg fuzzing`. A target does not look for panics alone: what comes out is held against what
//! the code promises. `docs/fuzzing.md` tells how to run them and what they found.

mod office;
mod text;

pub use crate::proxy::fuzzing::{
    answer, body, conversation, cookie, forwarded, frames, log_line, pointer, proxy_header, reader, request, token,
    trace,
};
pub use office::admin;
pub(crate) use text::{SECRET, Still};
pub use text::{config, scenario, schedule};

/// A target: it panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder and of its program.
pub const TARGETS: [(&str, Target); 17] = [
    ("request", request),
    ("conversation", conversation),
    ("frames", frames),
    ("answer", answer),
    ("proxy_header", proxy_header),
    ("token", token),
    ("cookie", cookie),
    ("pointer", pointer),
    ("body", body),
    ("forwarded", forwarded),
    ("trace", trace),
    ("reader", reader),
    ("config", config),
    ("schedule", schedule),
    ("scenario", scenario),
    ("admin", admin),
    ("log_line", log_line),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::catch_unwind;
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
    }

    #[test]
    fn no_input_that_was_ever_found_breaks_a_promise() {
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            let inputs = fs::read_dir(folder("corpus").join(name)).expect("each target has a corpus");
            let mut paths: Vec<PathBuf> = inputs.map(|entry| entry.expect("it can be read").path()).collect();
            paths.sort();
            assert!(paths.len() > 1, "{name} has hardly any inputs");
            for path in paths {
                let input = fs::read(&path).expect("it can be read");
                if catch_unwind(|| target(&input)).is_err() {
                    broken.push(path);
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }

    #[test]
    fn each_target_has_a_program() {
        let programs = fs::read_to_string(folder("Cargo.toml")).expect("it can be read");
        let named: Vec<&str> =
            programs.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(named, TARGETS.map(|(name, _)| name));
    }
}
