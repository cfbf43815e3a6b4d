//! Files that are read again when they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// A file as it was when somebody looked: time and size, and the file itself, for editors put a new one in its place.
type Look = Option<(SystemTime, u64, u64)>;

/// What is known of files that belong together.
#[derive(Default)]
pub(super) struct Watched {
    seen: Vec<Look>,
    read: Option<Vec<Look>>,
}

impl Watched {
    /// They are read now, as they are.
    pub(super) fn are_read(&mut self, files: &[&Path]) {
        self.read = Some(files.iter().copied().map(look).collect());
    }

    /// Whether any has changed since this was last true, and they have all rested for a moment: whoever writes them may not
    /// have finished.
    pub(super) fn has_changed(&mut self, files: &[&Path]) -> bool {
        let looks: Vec<Look> = files.iter().copied().map(look).collect();
        let rests = std::mem::replace(&mut self.seen, looks.clone()) == looks;
        if !rests || self.read.as_ref() == Some(&looks) {
            return false;
        }
        self.read = Some(looks);
        true
    }
}

fn look(path: &Path) -> Look {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}
