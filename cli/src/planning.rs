//! Planning for the commands that plan: the request, and the table of `graph plan` and
//! `graph rebuild --dry-run`.

use mabuild_engine::ops::{self, Planning, Project, RunRequest};
use mabuild_engine::report;

use crate::args::{PlanArgs, TargetArgs};
use crate::context::Context;
use crate::stop::{self, Stop, USAGE};
use crate::term::failures;

/// What a plan is asked for.
pub fn request(
    context: &Context,
    target: &TargetArgs,
    plan: &PlanArgs,
) -> Result<RunRequest, Stop> {
    Ok(RunRequest {
        targets: target.targets.clone(),
        platforms: target.platform.clone(),
        force: plan.forced(&target.targets),
        offline: plan.offline,
        locked: plan.locked,
        store: context.store()?,
        ..RunRequest::default()
    })
}

/// Plans; an error is shown with its place in the file.
pub fn plan(context: &Context, project: &Project, request: &RunRequest) -> Result<Planning, Stop> {
    let planning = ops::plan(&context.env, project, request)
        .map_err(|e| context.failed(&e, Some(&project.loaded.sources)))?;
    warn(context, &planning);
    Ok(planning)
}

/// Says what a plan could not find out.
pub fn warn(context: &Context, planning: &Planning) {
    for problem in planning.problems() {
        context.terminal.say(&format!("warning: {problem}\n"));
    }
}

/// Plans what a rebuild would do, for a command that shows it beside something else.
pub fn status(
    context: &Context,
    project: &Project,
    target: &TargetArgs,
    offline: bool,
) -> Result<Planning, Stop> {
    let plan = PlanArgs { force: None, offline, locked: false, no_test: true };
    self::plan(context, project, &request(context, target, &plan)?)
}

/// Plans and prints; `stale_is_error` makes a plan with something to do exit with 2.
pub fn show(
    context: &Context,
    project: &Project,
    request: &RunRequest,
    json: bool,
    stale_is_error: bool,
) -> Result<(), Stop> {
    let graph = &context.lowered(project)?.graph;
    let sources = &project.loaded.sources;
    let planning = plan(context, project, request)?;
    let text = match json {
        true => report::plan_json(graph, &planning.plan, sources),
        false => {
            let style = context.terminal.out_style();
            report::plan_table(graph, &planning.plan, context.verbose, style)
        }
    };
    context.terminal.say(&failures::refused(&context.terminal, graph, &planning.plan, sources));
    context.terminal.out(&text)?;
    stop::of_plan(&planning.plan)?;
    match stale_is_error && !planning.plan.is_clean() {
        true => Err(Stop(USAGE)),
        false => Ok(()),
    }
}
