//! Progress of a run, from the events of the engine.

mod json;
mod names;
mod plain;
mod screen;
mod sending;
mod tty;

use std::sync::Arc;

use mabuild_engine::event::{Event, Listener};
use mabuild_engine::graph::Graph;

use super::Terminal;
use crate::args::ProgressArg;
use names::Names;
use screen::Screen;

/// What is said when the run is asked to stop.
const STOPPING: &str = "stopping what runs; once more to stop at once";

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A screen that is drawn over and over, on standard error.
    Tty,
    /// A line an event, on standard error.
    Plain,
    /// A JSON object an event, on standard output.
    Json,
    /// Nothing.
    Quiet,
}

impl Form {
    /// The form that is asked for. A screen cannot be drawn where there is none.
    pub fn of(how: ProgressArg, screen: bool) -> Self {
        match how {
            ProgressArg::Json => Self::Json,
            ProgressArg::Tty | ProgressArg::Auto if screen => Self::Tty,
            ProgressArg::Tty | ProgressArg::Auto | ProgressArg::Plain => Self::Plain,
        }
    }

    /// The form for what is told in a few lines at its end anyway.
    pub fn brief(screen: bool) -> Self {
        if screen { Self::Tty } else { Self::Quiet }
    }
}

/// Shows nothing.
struct Quiet;

impl Listener for Quiet {
    fn event(&self, _: &Event) {}
}

/// Progress that is being shown.
pub enum Progress {
    /// See [`Form::Tty`].
    Tty(tty::Tty),
    /// See [`Form::Plain`].
    Plain(Arc<plain::Plain>),
    /// See [`Form::Json`].
    Json(Arc<json::Json>),
    /// See [`Form::Quiet`].
    Quiet,
}

impl Progress {
    /// Starts showing a run. With `verbose`, nodes that are up to date are shown as well.
    pub fn start(terminal: &Terminal, form: Form, graph: &Graph, verbose: bool) -> Self {
        Self::with(terminal, form, Names::of(graph), ("planning", verbose))
    }

    /// Starts showing what moves over the network while no node is worked on; `doing` says what
    /// for.
    pub fn of_transfer(terminal: &Terminal, form: Form, doing: &'static str) -> Self {
        Self::with(terminal, form, Names::default(), (doing, false))
    }

    fn with(
        terminal: &Terminal,
        form: Form,
        names: Names,
        (doing, verbose): (&'static str, bool),
    ) -> Self {
        match form {
            Form::Plain => Self::Plain(Arc::new(plain::Plain::new(*terminal, names, verbose))),
            Form::Json => Self::Json(Arc::new(json::Json::new(*terminal, names))),
            Form::Tty => {
                let (style, unicode) = (terminal.err_style(), terminal.unicode());
                let screen = Screen::new(names, doing, (style, unicode), verbose);
                Self::Tty(tty::Tty::start(*terminal, screen))
            }
            Form::Quiet => Self::Quiet,
        }
    }

    /// Who takes the events.
    pub fn listener(&self) -> Arc<dyn Listener> {
        match self {
            Self::Tty(tty) => tty.listener(),
            Self::Plain(plain) => plain.clone(),
            Self::Json(json) => json.clone(),
            Self::Quiet => Arc::new(Quiet),
        }
    }

    /// Tells people that the run was asked to stop.
    pub fn notice(&self) -> Box<dyn Fn() + Send> {
        match self {
            Self::Tty(tty) => tty.notice(),
            Self::Plain(plain) => {
                let plain = plain.clone();
                Box::new(move || plain.say(STOPPING))
            }
            // Who reads events gets the end of every node as one.
            Self::Json(_) | Self::Quiet => Box::new(|| {}),
        }
    }

    /// Ends showing and leaves the terminal as it was.
    pub fn finish(self) {
        if let Self::Tty(tty) = self {
            tty.finish();
        }
    }
}
