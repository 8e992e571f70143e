//! `mabuild image build`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use mabuild_engine::ops::export::{self, Dest};
use mabuild_engine::ops::images::ReadRequest;
use mabuild_engine::ops::{
    self, Cancel, Dockerfile, Env, Finished, OneOff, OneProject, Private, RunRequest,
};
use mabuild_engine::report::{self, words};
use mabuild_lang::platform::Platform;
use mabuild_lang::reference;

use crate::args::{Format, ProgressArg};
use crate::context::Context;
use crate::flags::{self, Agent, BuildContext, Kind, NamedContextArg, Output, Secret};
use crate::stop::{self, FAILED, Stop, USAGE};
use crate::term::progress::{Form, Progress};
use crate::term::{diagnostics, failures, interrupt};

const EXAMPLES: &str = "\
Exit codes: 0 built, 1 a step failed, or --check found something, 2 bad usage or a bad Dockerfile,
3 an upstream could not be reached, 130 interrupted.

Examples:
  mabuild image build .                                  build ./Dockerfile into the store
  mabuild image build -t web:1.0 -f web/Dockerfile .     with a name, from another Dockerfile
  mabuild image build --build-arg VERSION=3 --target test .
  mabuild image build --platform linux/amd64,linux/arm64 -o type=oci,dest=web.tar .
  mabuild image build -t web -o type=docker,dest=- . | docker load
  mabuild image build --build-context base=oci-layout://base-image .
  mabuild image build --secret id=token,env=TOKEN --ssh default .
  mabuild image build -o out .                           the files alone, into a folder
  mabuild image build --check .                          look for mistakes, build nothing";

/// Arguments of `image build`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder that COPY and ADD take files from
    context: BuildContext,
    /// The Dockerfile; `-` for standard input [default: CONTEXT/Dockerfile]
    #[arg(id = "file", short = 'f', long = "file", value_name = "FILE")]
    dockerfile: Option<PathBuf>,
    /// Build this stage; the last one when none is named
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Value of an ARG; of NAME alone, the variable of the environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = flags::pair)]
    build_arg: Vec<(String, Option<String>)>,
    /// What FROM and COPY --from mean by a name: a folder, oci-layout://PATH[:TAG|@DIGEST] or
    /// docker-image://REFERENCE
    #[arg(long, value_name = "NAME=SOURCE", value_parser = flags::named_context)]
    build_context: Vec<NamedContextArg>,
    /// A secret for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=VARIABLE
    #[arg(long, value_name = "SECRET", value_parser = flags::secret)]
    secret: Vec<Secret>,
    /// An agent for RUN --mount=type=ssh: default, ID, or ID=SOCKET
    #[arg(long, value_name = "AGENT", value_parser = flags::agent)]
    ssh: Vec<Agent>,
    /// Build for these; comma separated or given again [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// A label of the image; counts more than the Dockerfile's
    #[arg(long, value_name = "NAME=VALUE", value_parser = flags::pair)]
    label: Vec<(String, Option<String>)>,
    /// Network of a RUN that asks for none itself
    #[arg(long, value_name = "NETWORK", default_value = "default")]
    network: NetworkArg,
    /// Run every step again
    #[arg(long)]
    no_cache: bool,
    /// A name of the image, NAME[:TAG]
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// What to make besides: type=oci|docker|tar|local,dest=PATH, a folder, or `-` for a tar on
    /// standard output
    #[arg(short, long, value_name = "OUTPUT")]
    output: Vec<Output>,
    /// Look for mistakes in the Dockerfile and build nothing
    #[arg(long, conflicts_with_all = ["output", "iidfile", "metadata_file"])]
    check: bool,
    /// How to report what --check finds
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "check")]
    format: Format,
    /// How to show progress; json: one event a line on standard output
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressArg,
    /// Show no progress; the digest alone, and what is wrong
    #[arg(short, long)]
    quiet: bool,
    /// Use no network: upstreams are what the store remembers
    #[arg(long)]
    offline: bool,
    /// Write the id of the image to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write digests and names to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
    Default,
    Host,
    None,
}

/// Builds one Dockerfile.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    streams(context, args)?;
    let names = names(context, args)?;
    let build_args = build_args(context, args);
    let mut env = context.env.clone();
    if let Some(date) = build_args.get("SOURCE_DATE_EPOCH") {
        env.vars.insert("SOURCE_DATE_EPOCH".to_owned(), date.clone());
    }
    let one = OneOff {
        context: args.context.0.clone(),
        dockerfile: dockerfile(context, args)?,
        target: args.target.clone(),
        labels: labels(args),
        contexts: contexts(context, args),
        platforms: args.platform.clone(),
        network: args.network != NetworkArg::None,
        args: build_args.clone().into_iter().collect(),
    };
    let one = ops::open_one(&env, &one).map_err(|e| context.failed(&e, None))?;
    if args.check {
        return check(context, args, &one);
    }
    let project = &one.project;
    if !args.quiet || project.loaded.has_errors() {
        let text = diagnostics::render(&context.terminal, &project.loaded, &project.main);
        context.terminal.say(&text);
    }
    let request = RunRequest {
        targets: vec![one.image.clone()],
        force: if args.no_cache { vec![one.image.clone()] } else { Vec::new() },
        fresh: args.no_cache,
        offline: args.offline,
        names: Some(names.clone()),
        private: private(context, args, &build_args)?,
        store: context.store()?,
        ..RunRequest::default()
    };
    let finished = build(context, args, &env, &one, &request)?;
    let index = one.index().and_then(|index| finished.digest(index)).ok_or(Stop(FAILED))?;
    hand_over(context, args, &request, &index, &names)
}

/// Builds and shows how; gives only what is built.
fn build(
    context: &Context,
    args: &Args,
    env: &Env,
    one: &OneProject,
    request: &RunRequest,
) -> Result<Finished, Stop> {
    let (terminal, project) = (&context.terminal, &one.project);
    let (graph, sources) = (&context.lowered(project)?.graph, &project.loaded.sources);
    let form = match args.quiet {
        true => Form::Quiet,
        false => Form::of(args.progress, terminal.is_screen()),
    };
    let cancel = Cancel::default();
    let progress = Progress::start(terminal, form, graph, context.verbose);
    interrupt::watch(terminal, cancel.clone(), progress.notice())?;
    let finished = ops::rebuild(env, project, request, progress.listener(), &cancel);
    progress.finish();
    let mut finished = finished.map_err(|e| context.failed(&one.told_of(e), Some(sources)))?;
    one.told(&mut finished);
    let Finished { planning, ends, summary } = &finished;
    terminal.say(&failures::failed(terminal, graph, ends, sources));
    if !args.quiet {
        terminal.say(&match planning.plan.is_clean() {
            true => format!("nothing to do ({})\n", words::duration(summary.took)),
            false => report::run_text(graph, ends, summary, terminal.err_style()),
        });
    }
    stop::of_run(&planning.plan, ends, summary)?;
    Ok(finished)
}

/// Makes the outputs, writes the files that tell of the image, and prints its digest where standard
/// output is not an output itself.
fn hand_over(
    context: &Context,
    args: &Args,
    request: &RunRequest,
    index: &Arc<str>,
    names: &[String],
) -> Result<(), Stop> {
    let (store, offline) = (request.store.clone(), request.offline);
    let reading = ReadRequest { store, offline, ..ReadRequest::default() };
    let mut stdout = std::io::stdout();
    for output in &args.output {
        let Kind::Export { form, dest } = &output.kind else { continue };
        let dest = match dest {
            Some(path) => Dest::Path(context.env.cwd.join(path)),
            None => Dest::Stream(&mut stdout),
        };
        let done = export::export_built(&context.env, &reading, index, names, *form, dest);
        context.exported(done.map_err(|e| context.failed(&e, None))?);
    }
    if args.iidfile.is_some() || args.metadata_file.is_some() {
        let made =
            export::made(&context.env, &reading, index).map_err(|e| context.failed(&e, None))?;
        if let Some(path) = &args.iidfile {
            write(context, path, made.config.as_ref().unwrap_or(&made.digest))?;
        }
        if let Some(path) = &args.metadata_file {
            let text = format!("{:#}\n", made.metadata(names));
            write(context, path, &text)?;
        }
    }
    let wanted = args.quiet || args.output.iter().all(|output| output.kind == Kind::Store);
    match wanted && args.progress != ProgressArg::Json && !uses_stdout(args) {
        true => context.terminal.out(&format!("{index}\n")),
        false => Ok(()),
    }
}

fn uses_stdout(args: &Args) -> bool {
    let is_stream = |output: &Output| matches!(output.kind, Kind::Export { dest: None, .. });
    args.output.iter().any(is_stream)
}

/// Refuses what would put two things on one stream, or a binary file on a screen.
fn streams(context: &Context, args: &Args) -> Result<(), Stop> {
    let streams = args.output.iter().filter(|o| matches!(o.kind, Kind::Export { dest: None, .. }));
    let wrong = |message: &str, help: &str| {
        context.terminal.error("mabuild::cli::usage", message, Some(help));
        Err(Stop(USAGE))
    };
    match streams.count() {
        0 => Ok(()),
        1 if args.progress == ProgressArg::Json => {
            let message = "`--progress json` and an output both write to standard output";
            wrong(message, "write the output to a file: dest=FILE")
        }
        1 if std::io::stdout().is_terminal() => {
            let message = "an archive is not written to a terminal";
            wrong(message, "name a file with dest=FILE, or pipe it on")
        }
        1 => Ok(()),
        _ => wrong("two outputs write to standard output", "write one of them to a file"),
    }
}

/// All names that the image gets, with their tags.
fn names(context: &Context, args: &Args) -> Result<Vec<String>, Stop> {
    let of_outputs = args.output.iter().flat_map(|output| &output.names);
    let mut out: Vec<String> = Vec::new();
    for name in args.tag.iter().chain(of_outputs) {
        let named = match reference::parse(name) {
            Ok(found) if found.digest.is_some() => {
                Err(("has a digest".to_owned(), "the digest follows from what is built".to_owned()))
            }
            Ok(found) if found.tag.is_none() => Ok(format!("{name}:latest")),
            Ok(_) => Ok(name.clone()),
            Err(wrong) => Err((wrong.label, wrong.help)),
        };
        match named {
            Ok(named) if out.contains(&named) => {}
            Ok(named) => out.push(named),
            Err((label, help)) => {
                let message = format!("--tag {}: {label}", words::one_line(name));
                context.terminal.error("mabuild::cli::tag", &message, Some(&help));
                return Err(Stop(USAGE));
            }
        }
    }
    Ok(out)
}

/// The last value of each argument; one without a value is that of the environment, if it is there.
fn build_args(context: &Context, args: &Args) -> BTreeMap<String, String> {
    let value = |(name, value): &(String, Option<String>)| {
        let value = value.as_ref().or_else(|| context.env.vars.get(name))?;
        Some((name.clone(), value.clone()))
    };
    args.build_arg.iter().filter_map(value).collect()
}

fn labels(args: &Args) -> Vec<(String, String)> {
    let labels = args.label.iter().cloned();
    let last: BTreeMap<String, String> =
        labels.map(|(name, value)| (name, value.unwrap_or_default())).collect();
    last.into_iter().collect()
}

fn contexts(context: &Context, args: &Args) -> Vec<(String, ops::NamedContext)> {
    let cwd = &context.env.cwd;
    let last: BTreeMap<String, ops::NamedContext> =
        args.build_context.iter().map(|named| (named.name.clone(), named.source(cwd))).collect();
    last.into_iter().collect()
}

/// Largest Dockerfile that is read from standard input, in bytes: more than is read of any.
const LARGEST: u64 = 32 << 20;

fn dockerfile(context: &Context, args: &Args) -> Result<Dockerfile, Stop> {
    let path = match &args.dockerfile {
        None => return Ok(Dockerfile::File(args.context.0.join("Dockerfile"))),
        Some(path) => path,
    };
    if path.as_os_str() != "-" {
        return Ok(Dockerfile::File(path.clone()));
    }
    let mut bytes = Vec::new();
    match std::io::stdin().take(LARGEST).read_to_end(&mut bytes) {
        Ok(_) => Ok(Dockerfile::Content(bytes)),
        Err(e) => {
            let message = format!("the Dockerfile cannot be read from standard input: {e}");
            context.terminal.error("mabuild::cli::stdin", &message, None);
            Err(Stop(FAILED))
        }
    }
}

/// Variables of a proxy, which steps see in both cases and nothing else does.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// What steps may see and no key knows.
fn private(
    context: &Context,
    args: &Args,
    build_args: &BTreeMap<String, String>,
) -> Result<Private, Stop> {
    let (vars, cwd) = (&context.env.vars, &context.env.cwd);
    let wrong = |flag: String, why: String| {
        let message = format!("{flag}: {why}");
        context.terminal.error("mabuild::cli::private", &message, None);
        Stop(USAGE)
    };
    let mut private = Private::default();
    for secret in &args.secret {
        let value = flags::value_of(secret, vars, cwd);
        let value = value.map_err(|why| wrong(format!("--secret {}", secret.id), why))?;
        private.secrets.insert(secret.id.clone(), value);
    }
    for agent in &args.ssh {
        let socket = flags::agent_of(agent, vars, cwd);
        let socket = socket.map_err(|why| wrong(format!("--ssh {}", agent.id), why))?;
        private.agents.insert(agent.id.clone(), socket);
    }
    for name in PROXIES {
        let given = build_args.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, value)) = given {
            let both = [name.to_owned(), name.to_ascii_lowercase()];
            private.proxy.extend(both.map(|name| (name, value.clone())));
        }
    }
    Ok(private)
}

/// Shows what is wrong with the Dockerfile. As with `docker buildx build --check`, a warning is
/// enough for the exit code 1.
fn check(context: &Context, args: &Args, one: &OneProject) -> Result<(), Stop> {
    let (terminal, loaded) = (&context.terminal, &one.project.loaded);
    match args.format {
        Format::Json => diagnostics::json(terminal, loaded, [].into_iter())?,
        Format::Text if loaded.diagnostics.is_empty() => {
            let main = diagnostics::short(&one.project.main);
            terminal.say(&format!("{main}: no mistakes\n"));
        }
        Format::Text => terminal.say(&diagnostics::render(terminal, loaded, &one.project.main)),
    }
    match loaded.diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Stop(FAILED)),
    }
}

fn write(context: &Context, path: &std::path::Path, text: &str) -> Result<(), Stop> {
    std::fs::write(context.env.cwd.join(path), text).map_err(|e| {
        let message = format!("cannot write {}: {e}", path.display());
        context.terminal.error("mabuild::cli::file", &message, None);
        Stop(FAILED)
    })
}
