//! What is shown of a rehearsal: tables, curves, a page.

pub mod tables;
