//! What every command needs: the environment, the terminal, and the global options.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mabuild_engine::graph::{Graph, Selection, select};
use mabuild_engine::lower::Lowered;
use mabuild_engine::ops::export::Exported;
use mabuild_engine::ops::images::ReadRequest;
use mabuild_engine::ops::{self, Env, ErrorKind, OpError, Project, ProjectRequest};
use mabuild_engine::query::{self, NodeSet, QueryError, World};
use mabuild_engine::report::words;
use mabuild_lang::diag::Diagnostic;
use mabuild_lang::platform::Platform;
use mabuild_lang::source::SourceMap;

use crate::args::{Global, ProjectArgs, ReadArgs};
use crate::stop::{self, Stop, USAGE};
use crate::term::Terminal;
use crate::term::diagnostics;

/// The surroundings of a command.
pub struct Context {
    /// For the engine.
    pub env: Env,
    /// For people.
    pub terminal: Terminal,
    /// `-v`.
    pub verbose: bool,
    file: Option<PathBuf>,
    store: Option<PathBuf>,
}

impl Context {
    /// Reads the environment.
    pub fn new(global: &Global) -> Result<Self, Stop> {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let terminal = Terminal::new(global.color, &vars);
        let cwd = std::env::current_dir().map_err(|e| {
            let message = format!("the working directory cannot be read: {e}");
            let help = "change to a folder that exists";
            terminal.error("mabuild::cli::cwd", &message, Some(help));
            Stop(stop::FAILED)
        })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            env: Env { cwd, vars, now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX) },
            terminal,
            verbose: global.verbose,
            file: global.file.clone(),
            store: global.store.clone(),
        })
    }

    /// Folder of the store.
    pub fn store(&self) -> Result<PathBuf, Stop> {
        ops::store_dir(&self.env, self.store.as_deref()).map_err(|e| self.failed(&e, None))
    }

    /// How images are read: of registries as the project says, where there is one.
    pub fn reading(&self, args: &ReadArgs) -> Result<ReadRequest, Stop> {
        let project = match args.offline {
            true => None,
            false => self.surroundings()?,
        };
        Ok(ReadRequest { store: self.store()?, offline: args.offline, project })
    }

    /// The project for its settings of registries alone. What needs none goes on without one that
    /// has mistakes.
    fn surroundings(&self) -> Result<Option<Arc<Project>>, Stop> {
        let request = ProjectRequest { file: self.file.clone(), ..ProjectRequest::default() };
        let main = match ops::find_file(&self.env, &request) {
            Err(_) if self.file.is_none() => return Ok(None),
            found => found.map_err(|e| self.failed(&e, None))?,
        };
        match ops::open(&self.env, &request) {
            Ok(project) if project.lowered.is_some() => Ok(Some(Arc::new(project))),
            _ => {
                let main = words::one_line(&main.display().to_string());
                self.terminal.say(&format!(
                    "warning: {main} has mistakes, so what it says of registries is left out; \
                     `mabuild check` shows them\n"
                ));
                Ok(None)
            }
        }
    }

    /// Which project is meant.
    pub fn request(&self, args: &ProjectArgs) -> ProjectRequest {
        ProjectRequest { file: self.file.clone(), set: args.set.iter().cloned().collect() }
    }

    /// Loads the project and shows what is wrong with it; a file with errors ends the command.
    pub fn open(&self, args: &ProjectArgs) -> Result<Project, Stop> {
        let project = self.load(args)?;
        self.terminal.say(&diagnostics::render(&self.terminal, &project.loaded, &project.main));
        match project.loaded.has_errors() {
            true => Err(Stop(USAGE)),
            false => Ok(project),
        }
    }

    /// The same for a command that plans a run: says what of the file the run would leave out.
    pub fn open_to_run(&self, args: &ProjectArgs, no_test: bool) -> Result<Project, Stop> {
        let project = if no_test { self.open_untested(args)? } else { self.open(args)? };
        for span in self.lowered(&project)?.uncalled() {
            let message = "this version of mabuild calls nothing after a run";
            let warning = Diagnostic::warning("mabuild::plan::hook", span, message, "is not called")
                .help("call it by hand after `mabuild graph rebuild`; the exit code says how the run ended");
            let sources = &project.loaded.sources;
            self.terminal.say(&diagnostics::render_one(&self.terminal, &warning, sources));
        }
        Ok(project)
    }

    /// The same, without the tests of images.
    pub fn open_untested(&self, args: &ProjectArgs) -> Result<Project, Stop> {
        let mut project = self.open(args)?;
        project.skip_tests();
        Ok(project)
    }

    /// Loads the project and leaves its diagnostics to the caller.
    pub fn load(&self, args: &ProjectArgs) -> Result<Project, Stop> {
        ops::open(&self.env, &self.request(args)).map_err(|e| self.failed(&e, None))
    }

    /// The graph of a project without errors.
    pub fn lowered<'p>(&self, project: &'p Project) -> Result<&'p Lowered, Stop> {
        project.lowered.as_deref().ok_or(Stop(USAGE))
    }

    /// The nodes that targets mean.
    pub fn select(
        &self,
        graph: &Graph,
        targets: &[String],
        platforms: &[Platform],
    ) -> Result<Selection, Stop> {
        select(graph, targets, platforms).map_err(|e| {
            let error = OpError {
                kind: ErrorKind::User,
                code: "mabuild::cli::target",
                message: e.to_string(),
                help: Some("`mabuild graph show` lists every image".to_owned()),
                span: None,
            };
            self.failed(&error, None)
        })
    }

    /// The value of a query, or its mistakes under its text.
    pub fn query<T>(&self, result: Result<T, Vec<QueryError>>, text: &str) -> Result<T, Stop> {
        result.map_err(|errors| {
            let mut sources = SourceMap::default();
            let file = sources.add("query", text.into());
            for error in errors {
                let shown = error.diagnostic(file);
                self.terminal.say(&diagnostics::render_one(&self.terminal, &shown, &sources));
            }
            Stop(USAGE)
        })
    }

    /// The nodes that a query names; none of its functions may need a plan.
    pub fn queried(&self, graph: &Graph, text: &str) -> Result<NodeSet, Stop> {
        let expression = self.query(query::parse(text), text)?;
        self.query(query::evaluate(&expression, &World { graph, plan: None }), text)
    }

    /// Says what an export left out.
    pub fn exported(&self, done: Exported) {
        if done.devices > 0 {
            let devices = words::count(done.devices, "device");
            let text = format!("{devices} left out: only root can make them\n");
            self.terminal.say(&text);
        }
    }

    /// Shows an error of the engine.
    pub fn failed(&self, error: &OpError, sources: Option<&SourceMap>) -> Stop {
        self.terminal.say(&diagnostics::render_error(&self.terminal, error, sources));
        stop::of_error(error.kind)
    }
}
