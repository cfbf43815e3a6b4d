use super::*;
use crate::sim::rehearsal::handmade::rehearsal;

#[test]
fn tmp_look() {
    std::fs::write("/tmp/sluss-x.html", page(&[rehearsal()])).unwrap();
    std::fs::write("/tmp/sluss-h.svg", hero(&rehearsal()).unwrap()).unwrap();
}
