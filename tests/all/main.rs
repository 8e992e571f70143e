//! All tests of the whole program, a module a theme. Each runs the real program in a world of its
//! own; counts, digests and exit codes are what is compared.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod alpine;
mod badinput;
mod drawing;
mod fuzzed;
mod golden;
mod graph;
mod history;
mod images;
mod interrupt;
mod lsp;
mod quickstart;
mod readme;
mod rebuild;
mod reproduce;
mod rooms;
mod upstream;
mod variants;
