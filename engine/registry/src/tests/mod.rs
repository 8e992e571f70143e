//! The client against registries that behave, and that do not.

mod copy;
mod hostile;
mod limits;
mod login;
mod mirror;
mod pull;
mod push;
mod refuse;
mod retry;
mod tags;
mod upload;
mod upstream;
