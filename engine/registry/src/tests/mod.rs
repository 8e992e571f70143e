//! The client against registries that behave, and that do not.

mod hostile;
mod limits;
mod login;
mod pull;
mod retry;
mod tags;
mod upstream;
