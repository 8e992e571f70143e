//! `mabuild graph rebuild`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mabuild_engine::ops::publish::{PublishRequest, publishes};
use mabuild_engine::ops::{self, Cancel, Finished, Project, RunRequest, Upstreams, Whose};
use mabuild_engine::publish::Published;
use mabuild_engine::report::{self, schema, words};

use crate::args::{Jobs, PlanArgs, ProgressArg, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::publishing;
use crate::stop::{self, FAILED, Stop, USAGE};
use crate::term::progress::{Form, Progress};
use crate::term::{failures, interrupt};
use crate::upstream;

/// Arguments of `graph rebuild`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 all is up to date, 1 a node failed, 2 bad usage or a bad file, 3 an upstream or a\nregistry could not be reached, 130 interrupted.\n\nExamples:\n  mabuild graph rebuild\n  mabuild graph rebuild web --platform linux/amd64,linux/arm64\n  mabuild graph rebuild --update                    follow upstreams first\n  mabuild graph rebuild -k --publish                build, then move tags\n  mabuild graph rebuild -k --report report.json     go on after failures, leave a report"
)]
pub struct Args {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub plan: PlanArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Move the lock to what upstreams serve now before building, as `mabuild upstream update`
    #[arg(short, long, conflicts_with_all = ["locked", "offline", "dry_run"])]
    update: bool,
    /// Build the targets twice, the second time without anything the store has, and fail where two
    /// images come out; names the first file that differs
    #[arg(long, conflicts_with = "dry_run")]
    verify_reproducible: bool,
    /// Nodes worked on at once [default: one a processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<Jobs>,
    /// After a failure go on with all that does not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// Publish what is up to date afterwards, as `mabuild publish`; after a failure with -k alone
    #[arg(long, conflicts_with_all = ["platform", "offline", "dry_run"])]
    publish: bool,
    /// Show the plan and change nothing, as `mabuild graph plan`
    #[arg(long, conflicts_with_all = ["report", "progress", "jobs", "keep_going"])]
    dry_run: bool,
    /// How to show progress; json: one event a line on standard output
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressArg,
    /// Report the run as JSON on standard output (`json`) or in a file (`FILE.json`)
    #[arg(long, value_name = "json|FILE.json")]
    report: Option<ReportArg>,
    /// Print the JSON Schema of what `--report` writes
    #[arg(long)]
    schema: bool,
}

/// Where the report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ReportArg {
    Stdout,
    File(PathBuf),
}

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Stdout),
            file if file.len() > ".json".len() && file.ends_with(".json") => {
                Ok(Self::File(PathBuf::from(file)))
            }
            _ => Err("write `json`, or a file that ends in .json".to_owned()),
        }
    }
}

/// What is said at the first Ctrl-C, by whoever shows something then.
type Notice = Arc<Mutex<Box<dyn Fn() + Send>>>;

fn locked(notice: &Notice) -> MutexGuard<'_, Box<dyn Fn() + Send>> {
    notice.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings targets up to date.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::RUN);
    }
    let screen = context.terminal.is_screen();
    let Some(form) = form(args.progress, args.report.as_ref(), screen) else {
        let message = "`--progress json` and `--report json` both write to standard output";
        let help = "put the report in a file: --report FILE.json";
        context.terminal.error("mabuild::cli::usage", message, Some(help));
        return Err(Stop(USAGE));
    };
    let project = context.open_to_run(&args.project, args.plan.no_test)?;
    if args.publish {
        // Not only after everything was built.
        publishes(&project).map_err(|e| context.failed(&e, None))?;
    }
    let mut request = planning::request(context, &args.target, &args.plan)?;
    if args.dry_run {
        return planning::show(context, &project, &request, false, false);
    }
    let updated = match args.update {
        true => Some(update(context, &project, &request)?),
        false => None,
    };
    request.jobs = args.jobs.map(Jobs::get);
    request.keep_going = args.keep_going;
    request.explain = args.report.is_some();
    request.verify = args.verify_reproducible;
    if request.verify && request.force.is_empty() {
        // What is up to date is built, too.
        request.force = match request.targets.is_empty() {
            true => vec!["*".to_owned()],
            false => request.targets.clone(),
        };
    }
    let graph = &context.lowered(&project)?.graph;
    let cancel = Cancel::default();
    let progress = Progress::start(&context.terminal, form, graph, context.verbose);
    let notice: Notice = Arc::new(Mutex::new(progress.notice()));
    let current = notice.clone();
    interrupt::watch(&context.terminal, cancel.clone(), move || locked(&current)())?;
    let finished = ops::rebuild(&context.env, &project, &request, progress.listener(), &cancel);
    progress.finish();
    let finished = finished.map_err(|e| context.failed(&e, Some(&project.loaded.sources)))?;
    show(context, &project, &finished)?;
    let built = stop::of_run(&finished.planning.plan, &finished.ends, &finished.summary);
    let report = |published| report(context, args, &project, &finished, published);
    if !args.publish || matches!(args.report, Some(ReportArg::File(_))) {
        // Also before publishing: who is killed meanwhile has built all the same.
        report(None)?;
    }
    let published = match args.publish {
        true => {
            let how = (form, &cancel, &notice);
            let published = self::publish(context, &project, request, &finished, how);
            let reported = report(published.as_ref().ok().and_then(Option::as_ref));
            let ended = |published| publishing::ended(context, &published);
            published.and_then(|done| done.map_or(Ok(()), ended)).and(reported)
        }
        false => Ok(()),
    };
    built.and(published)?;
    updated.as_ref().map_or(Ok(()), upstream::failed)
}

/// Publishes what the run left up to date. A run that failed and was not to go on publishes nothing;
/// then there is none.
fn publish(
    context: &Context,
    project: &Project,
    request: RunRequest,
    finished: &Finished,
    (form, cancel, notice): (Form, &Cancel, &Notice),
) -> Result<Option<Published>, Stop> {
    let summary = &finished.summary;
    if summary.interrupted || summary.failed > 0 && !request.keep_going {
        context
            .terminal
            .say("nothing is published after a failure; with -k the other images are\n");
        return Ok(None);
    }
    let request = PublishRequest { run: request, dry_run: false };
    let form = match form {
        // What was published is told in a few lines at the end.
        Form::Plain => Form::Quiet,
        form => form,
    };
    let progress = publishing::progress(context, form);
    if form == Form::Tty {
        // The screen of the run is gone.
        *locked(notice) = progress.notice();
    }
    let published = publishing::run(context, project, &request, Some(finished), progress, cancel)?;
    let style = context.terminal.err_style();
    context.terminal.say(&report::publish_text(&published, context.verbose, style));
    Ok(Some(published))
}

/// Moves the lock first. What cannot be asked stays as it is in the lock, and the others go on.
fn update(context: &Context, project: &Project, request: &RunRequest) -> Result<Upstreams, Stop> {
    let terminal = &context.terminal;
    let found = upstream::ask(context, project, request, Whose::Needed, true)?;
    let news = upstream::news(&found);
    terminal.say(&report::news_text(&news, context.verbose, terminal.err_style()));
    Ok(found)
}

/// How progress is shown. None where events and the report would both go to standard output.
fn form(progress: ProgressArg, report: Option<&ReportArg>, screen: bool) -> Option<Form> {
    match progress {
        ProgressArg::Json if report == Some(&ReportArg::Stdout) => None,
        how => Some(Form::of(how, screen)),
    }
}

fn show(context: &Context, project: &Project, finished: &Finished) -> Result<(), Stop> {
    let Finished { planning, ends, summary } = finished;
    let (graph, sources) = (&context.lowered(project)?.graph, &project.loaded.sources);
    let terminal = &context.terminal;
    if planning.plan.is_clean() {
        let text = report::up_to_date(graph, &planning.plan);
        terminal.say(&format!("{text} ({})\n", words::duration(summary.took)));
    } else {
        terminal.say(&failures::failed(terminal, graph, ends, sources));
        terminal.say(&report::run_text(graph, ends, summary, terminal.err_style()));
    }
    Ok(())
}

/// Writes the report where it is to go, if anywhere.
fn report(
    context: &Context,
    args: &Args,
    project: &Project,
    finished: &Finished,
    published: Option<&Published>,
) -> Result<(), Stop> {
    let Some(target) = &args.report else { return Ok(()) };
    let Finished { planning, ends, summary } = finished;
    let (graph, sources) = (&context.lowered(project)?.graph, &project.loaded.sources);
    let (terminal, name) = (&context.terminal, project.main.to_string_lossy());
    let publish = published.map(report::publish_document);
    let text = report::run_json(graph, &name, &planning.plan, ends, summary, sources, publish);
    match target {
        ReportArg::Stdout => terminal.out(&text),
        ReportArg::File(path) => std::fs::write(context.env.cwd.join(path), text).map_err(|e| {
            let message = format!("the report cannot be written to {}: {e}", path.display());
            let help = "the run itself is done; name another file with --report";
            terminal.error("mabuild::cli::report", &message, Some(help));
            Stop(FAILED)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_plain_where_there_is_no_screen() {
        let stdout = Some(ReportArg::Stdout);
        assert_eq!(form(ProgressArg::Auto, None, true), Some(Form::Tty));
        assert_eq!(form(ProgressArg::Tty, None, false), Some(Form::Plain));
        assert_eq!(form(ProgressArg::Plain, stdout.as_ref(), true), Some(Form::Plain));
        assert_eq!(form(ProgressArg::Json, None, true), Some(Form::Json));
        assert_eq!(form(ProgressArg::Json, stdout.as_ref(), true), None);
    }

    #[test]
    fn a_report_is_json_on_stdout_or_in_a_file() {
        assert_eq!("json".parse(), Ok(ReportArg::Stdout));
        assert_eq!("a/b.json".parse(), Ok(ReportArg::File("a/b.json".into())));
        assert!(".json".parse::<ReportArg>().is_err());
        assert!("report.xml".parse::<ReportArg>().is_err());
    }
}
