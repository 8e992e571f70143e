//! All tests of the whole program, a module a theme. Each runs the real program in a world of its
//! own; counts, digests and exit codes are what is compared.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod alpine;
mod apk;
mod badinput;
mod debian;
mod dockerfiles;
mod drawing;
mod fuzzed;
mod golden;
mod graph;
mod history;
mod hostile;
mod hosts;
mod imagebuild;
mod images;
mod interrupt;
mod judges;
mod lsp;
mod memory;
mod moving;
mod moving_images;
mod other_registry;
mod publish;
mod push;
mod quickstart;
mod readme;
mod rebuild;
mod recipes;
mod registry;
mod reproduce;
mod rooms;
mod upstream;
mod variants;
