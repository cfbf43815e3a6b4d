use super::printed;
use crate::sim::rehearsal::handmade::rehearsal;

#[test]
fn tables_look_like_this() {
    let wanted = "";
    assert_eq!(printed(&rehearsal()).trim_end(), wanted);
}
