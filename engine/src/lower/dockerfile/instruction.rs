//! One instruction, its words expanded.

use std::time::Duration;

use mabuild_dockerfile::{self as ast, Instruction, Word, ports};
use mabuild_lang::source::Span;

use super::{Body, Lowering};
use crate::lower::LowerError;
use crate::spec::{Arg, Asked, Command, Healthcheck, Op, Step};

impl Lowering<'_> {
    /// Lowers an instruction. `prefix` says where it comes from.
    pub(super) fn instruction(
        &mut self,
        instruction: &Instruction,
        span: Span,
        prefix: &str,
        body: &mut Body<'_>,
        steps: &mut Vec<Step<Asked>>,
    ) -> Result<(), LowerError> {
        let env = |name: &str| body.scope.get(name);
        let text = prefix.to_owned() + &ast::progress(instruction, self.recipe.escape(), &env);
        if let ast::Op::Arg(list) = &instruction.op {
            let mut args = Vec::with_capacity(list.len());
            for declared in list {
                args.push(self.argument(declared, body)?);
            }
            steps.push(Step { span, text: Some(text), op: Op::Arg(args) });
            return Ok(());
        }
        let escape = self.recipe.escape();
        let expanded = ast::expand::op(&instruction.op, escape, &|name| body.scope.get(name));
        let expanded = expanded.map_err(|problems| self.recipe.first(problems))?;
        let op = match expanded.op {
            ast::Op::Add(add) => self.add(add, span)?,
            ast::Op::Copy(copy) => self.copy(copy, body.index, span)?,
            ast::Op::Run(run) => self.run(&run, body, span)?,
            ast::Op::Arg(_) => return Ok(()),
            ast::Op::Cmd(words) => Op::Cmd(command(words)),
            ast::Op::Entrypoint(words) => Op::Entrypoint(command(words)),
            ast::Op::Env(pairs) => {
                let pairs = texts_of_pairs(pairs);
                pairs.iter().for_each(|(name, value)| body.scope.set(name, value));
                Op::Env(pairs)
            }
            ast::Op::Label(pairs) => Op::Label(texts_of_pairs(pairs)),
            ast::Op::Expose(words) => Op::Expose(self.ports(&words)?),
            ast::Op::Healthcheck(check) => Op::Healthcheck(healthcheck(check)),
            ast::Op::Maintainer(author) => Op::Maintainer(author.raw),
            ast::Op::Onbuild(onbuild) => {
                body.triggers.push(onbuild.trigger.clone());
                Op::Onbuild(onbuild.trigger)
            }
            ast::Op::Shell(words) => Op::Shell(texts(words)),
            ast::Op::Stopsignal(word) => Op::StopSignal(word.raw),
            ast::Op::User(word) => Op::User(word.raw),
            ast::Op::Volume(words) => {
                if let Some(empty) = words.iter().find(|word| word.raw.is_empty()) {
                    let span = self.recipe.span(empty.span);
                    let message = "a volume has no path; the variable in it is empty".to_owned();
                    return Err(LowerError { message, span });
                }
                Op::Volume(texts(words))
            }
            ast::Op::Workdir(word) => Op::Workdir(word.raw),
        };
        steps.push(Step { span, text: Some(text), op });
        Ok(())
    }

    /// An ARG: what is given from outside counts most, then the default, then what the file
    /// says before its first FROM.
    fn argument(
        &mut self,
        declared: &ast::ArgDecl,
        body: &mut Body<'_>,
    ) -> Result<Arg, LowerError> {
        let name = declared.name.raw.clone();
        let env = |name: &str| body.scope.get(name);
        let expanded = declared.default.as_ref().map(|word| {
            ast::expand::word(word, self.recipe.escape(), &env).map(|expanded| expanded.text)
        });
        let (default, value) = match self.recipe.written(&name) {
            // What is wrong with a default that does not count is not looked at.
            Some(value) => (expanded.and_then(Result::ok), Some(value.to_owned())),
            None => {
                let default = expanded.transpose().map_err(|problem| self.recipe.told(problem))?;
                let value = default.clone().or_else(|| self.globals.get(&name));
                (default, value)
            }
        };
        if let Some(value) = &value {
            body.scope.set(&name, value);
        }
        Ok(Arg { name, default, value })
    }

    fn ports(&self, words: &[Word]) -> Result<Vec<String>, LowerError> {
        let mut out = Vec::new();
        for word in words {
            let found = ports::parse(&word.raw).map_err(|help| LowerError {
                message: format!("`{}` is no port; {help}", word.raw),
                span: self.recipe.span(word.span),
            })?;
            out.extend(found.each());
        }
        Ok(out)
    }
}

pub(super) fn texts(words: Vec<Word>) -> Vec<String> {
    words.into_iter().map(|word| word.raw).collect()
}

fn texts_of_pairs(pairs: Vec<ast::Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.key.raw, pair.value.raw)).collect()
}

fn command(command: ast::Command) -> Command {
    match command {
        ast::Command::Shell(text) => Command::Shell(text.raw),
        ast::Command::Exec(words) => Command::Exec(texts(words)),
    }
}

fn healthcheck(check: ast::Healthcheck) -> Healthcheck {
    let test = check.test();
    let ast::Healthcheck::Check(check) = check else {
        return Healthcheck { test, ..Healthcheck::default() };
    };
    let nanoseconds = |time: Option<Duration>| {
        time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    Healthcheck {
        test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
        retries: check.retries.unwrap_or(0),
    }
}
