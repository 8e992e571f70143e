//! The client against registries that behave, and that do not.

mod hostile;
mod login;
mod pull;
mod retry;
