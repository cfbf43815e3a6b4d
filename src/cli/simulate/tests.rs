use super::printed;
use crate::sim::rehearsal::handmade::rehearsal;

#[test]
fn what_is_printed_is_as_in_the_file() {
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&printed(&rehearsal())), lines(include_str!("printed.txt")));
}
