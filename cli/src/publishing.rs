//! Publishing, for the commands that do: who listens, what is told, how it ends.

use std::io::{BufRead, IsTerminal};

use mabuild_engine::ops::publish::{PublishRequest, publish};
use mabuild_engine::ops::{Cancel, Finished, Project};
use mabuild_engine::publish::{Outcome, Published};
use mabuild_engine::report;

use crate::context::Context;
use crate::stop::{FAILED, INTERRUPTED, Stop, UPSTREAM};
use crate::term::interrupt;
use crate::term::progress::{Form, Progress};

/// Publishes the results of a run, or what is up to date.
pub fn run(
    context: &Context,
    project: &Project,
    request: &PublishRequest,
    finished: Option<&Finished>,
    progress: Progress,
    cancel: &Cancel,
) -> Result<Published, Stop> {
    let listener = progress.listener();
    let done = publish(&context.env, project, request, finished, &listener, cancel);
    progress.finish();
    done.map_err(|e| context.failed(&e, Some(&project.loaded.sources)))
}

/// Shows how far publishing is.
pub fn progress(context: &Context, form: Form) -> Progress {
    Progress::of_transfer(&context.terminal, form, "publishing")
}

/// A handle that Ctrl-C ends the work by.
pub fn cancel(context: &Context) -> Result<Cancel, Stop> {
    let terminal = context.terminal;
    cancel_with(context, move || terminal.say("stopping; once more to stop at once\n"))
}

/// The same, with what is done at the first Ctrl-C.
pub fn cancel_with(context: &Context, notice: impl Fn() + Send + 'static) -> Result<Cancel, Stop> {
    let cancel = Cancel::default();
    interrupt::watch(&context.terminal, cancel.clone(), notice)?;
    Ok(cancel)
}

/// Says what is wrong, each with what to do.
pub fn faults(context: &Context, code: &str, faults: Vec<(String, Option<String>)>) {
    for (message, help) in faults {
        context.terminal.error(code, &message, help.as_deref());
    }
}

/// Says what was not published, and gives the exit code.
pub fn ended(context: &Context, published: &Published) -> Result<(), Stop> {
    faults(context, "mabuild::publish::failed", report::publish_faults(published));
    if published.interrupted {
        return Err(Stop(INTERRUPTED));
    }
    if published.is_whole() {
        return Ok(());
    }
    let blocked = published.images.iter().filter(|i| matches!(i.outcome, Outcome::Blocked(_)));
    let failures = published.failures().map(|failed| failed.blames_registry);
    code(blocked.map(|_| false).chain(failures))
}

/// The exit code of failures: a registry out of reach weighs less than all that a person has to
/// look at.
pub fn code(blames_registry: impl IntoIterator<Item = bool>) -> Result<(), Stop> {
    let mut failures = blames_registry.into_iter().peekable();
    Err(match failures.peek().is_some() && failures.all(|blames| blames) {
        true => Stop(UPSTREAM),
        false => Stop(FAILED),
    })
}

/// Asks a person; where there is none, the answer is no.
pub fn ask(context: &Context, question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !context.terminal.is_screen() {
        return false;
    }
    context.terminal.say(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
