//! What can be seen: every metric's name stands in one table, handles are fetched once and kept.

pub mod names;
pub mod record;
pub mod export;
