//! RUN, CMD, ENTRYPOINT, SHELL and HEALTHCHECK.

use std::time::Duration;

use super::Context;
use crate::ast::{Check, Command, Device, Healthcheck, Network, Op, Run, Security, Word};
use crate::fields::{comma_separated, duration, truth};
use crate::flags::Flags;
use crate::mount;
use crate::problem::{Problem, did_you_mean};

impl Context<'_> {
    pub(super) fn run(&mut self) -> Option<Op> {
        let flags = self.take_flags();
        let mut mounts = Vec::new();
        for text in flags.list("mount") {
            let (flag, problems) = mount::read(text);
            mounts.extend(flag);
            problems.into_iter().for_each(|p| self.push(p));
        }
        let devices = flags.list("device").filter_map(|text| self.device(&text)).collect();
        let network = self.choice(&flags, "network", &NETWORKS);
        let security = self.choice(&flags, "security", &SECURITIES);
        let command = self.command()?;
        let heredocs = std::mem::take(&mut self.heredocs);
        Some(Op::Run(Box::new(Run { mounts, network, security, devices, command, heredocs })))
    }

    pub(super) fn cmd(&mut self) -> Option<Op> {
        self.take_flags();
        self.command().map(Op::Cmd)
    }

    pub(super) fn entrypoint(&mut self) -> Option<Op> {
        self.take_flags();
        self.command().map(Op::Entrypoint)
    }

    fn command(&mut self) -> Option<Command> {
        if self.rest.is_empty() {
            let message = format!("{} has no command", self.name);
            self.push(
                Problem::warning(code!("missing-argument"), self.keyword, message)
                    .label("nothing behind it")
                    .help(format!("write `{} command`, or leave it out", self.name)),
            );
        }
        let exec = self.exec_form().ok()?;
        Some(exec.map_or_else(|| Command::Shell(self.line.word(self.rest.clone())), Command::Exec))
    }

    pub(super) fn shell(&mut self) -> Option<Op> {
        self.take_flags();
        let wanted = "`SHELL [\"/bin/bash\", \"-c\"]`";
        if self.is_bare(wanted) {
            return None;
        }
        match self.exec_form().ok()? {
            Some(words) if !words.is_empty() => Some(Op::Shell(words)),
            _ => {
                self.push(
                    Problem::error(
                        code!("shell-not-json"),
                        self.place(),
                        "SHELL needs the exec form",
                    )
                    .label("not an array of strings")
                    .help(format!("write {wanted}")),
                );
                None
            }
        }
    }

    fn choice<T: Copy>(&mut self, flags: &Flags, name: &str, known: &[(&str, T)]) -> Option<T> {
        let given = flags.text(name)?;
        let found = known.iter().find(|(text, _)| *text == given.raw).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(text, _)| *text).collect();
            let near = did_you_mean(&given.raw, names.iter().copied());
            let help = near.unwrap_or_else(|| format!("known are {}", names.join(", ")));
            let message = format!("`--{name}` cannot be `{}`", given.raw);
            self.push(
                Problem::error(code!("bad-flag-value"), given.span, message)
                    .label("this value")
                    .help(help),
            );
        }
        found
    }

    fn device(&mut self, text: &Word) -> Option<Device> {
        let fields = comma_separated(text).map_err(|problem| self.push(problem)).ok()?;
        let mut device = Device { name: Word::default(), required: false };
        for field in fields {
            let is_named = !device.name.raw.is_empty();
            match (field.key.as_str(), field.value) {
                ("required", None) => device.required = true,
                ("required", Some(word)) => match truth(&word.raw) {
                    Some(value) => device.required = value,
                    None => {
                        let message = format!("`required` cannot be `{}`", word.raw);
                        self.push(
                            Problem::error(code!("bad-flag-value"), word.span, message)
                                .label("this value")
                                .help("write `true` or `false`"),
                        );
                    }
                },
                ("name", Some(word)) if !is_named => device.name = word,
                // A CDI name has an `=` of its own: `vendor.com/class=name`.
                _ if !is_named => device.name = Word { raw: field.text, span: field.span },
                (key, _) => {
                    let message = format!("a device has no option `{key}`");
                    self.push(
                        Problem::error(code!("bad-flag-value"), field.span, message)
                            .label("unknown")
                            .help("known are `name` and `required`"),
                    );
                }
            }
        }
        Some(device)
    }

    pub(super) fn healthcheck(&mut self) -> Option<Op> {
        let wanted = "`HEALTHCHECK CMD command` or `HEALTHCHECK NONE`";
        if self.is_bare(wanted) {
            return None;
        }
        let text = self.text();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let kind = text.get(..end).unwrap_or("").to_ascii_uppercase();
        let first = self.rest.start..self.rest.start + end;
        self.rest = self.line.trim(first.end..self.rest.end);
        match kind.as_str() {
            "NONE" => {
                self.ignore_flags();
                if !self.rest.is_empty() {
                    self.push(
                        Problem::error(
                            code!("bad-healthcheck"),
                            self.place(),
                            "HEALTHCHECK NONE stands alone",
                        )
                        .label("too much")
                        .help("leave this out"),
                    );
                }
                Some(Op::Healthcheck(Healthcheck::None))
            }
            "CMD" => {
                let flags = self.take_flags();
                self.check(&flags)
            }
            _ => {
                let place = self.line.span(first);
                let message = format!("HEALTHCHECK has no kind `{kind}`");
                let near = did_you_mean(&kind, ["CMD", "NONE"]);
                self.push(
                    Problem::error(code!("bad-healthcheck"), place, message)
                        .label("unknown")
                        .help(near.unwrap_or_else(|| format!("write {wanted}"))),
                );
                None
            }
        }
    }

    fn check(&mut self, flags: &Flags) -> Option<Op> {
        if self.rest.is_empty() {
            self.no_check();
            return None;
        }
        let retries = flags.filled("retries").and_then(|word| self.retries(&word));
        let mut time = |name| flags.filled(name).and_then(|word| self.duration(name, &word));
        let (interval, timeout) = (time("interval"), time("timeout"));
        let (start_period, start_interval) = (time("start-period"), time("start-interval"));
        let command = self.command()?;
        if matches!(&command, Command::Exec(words) if words.is_empty()) {
            self.no_check();
            return None;
        }
        let check = Check { command, interval, timeout, start_period, start_interval, retries };
        Some(Op::Healthcheck(Healthcheck::Check(check)))
    }

    fn no_check(&mut self) {
        let message = "HEALTHCHECK CMD has no command";
        self.push(
            Problem::error(code!("bad-healthcheck"), self.keyword, message)
                .label("nothing behind CMD")
                .help("write `HEALTHCHECK CMD command`"),
        );
    }

    fn retries(&mut self, word: &Word) -> Option<u32> {
        let number = word.raw.parse::<i32>().ok().and_then(|n| u32::try_from(n).ok());
        if number.is_none() {
            let message = format!("`--retries` cannot be `{}`", word.raw);
            self.push(
                Problem::error(code!("bad-flag-value"), word.span, message)
                    .label("this value")
                    .help("write a whole number"),
            );
        }
        number.filter(|n| *n > 0)
    }

    fn duration(&mut self, name: &str, word: &Word) -> Option<Duration> {
        let value = duration(&word.raw);
        let good = value.filter(|d| d.is_zero() || *d >= Duration::from_millis(1));
        if good.is_none() {
            let message = format!("`--{name}` cannot be `{}`", word.raw);
            let help = if value.is_some() {
                "the least is `1ms`"
            } else {
                "write a duration with its units, such as `30s` or `1m30s`"
            };
            self.push(
                Problem::error(code!("bad-flag-value"), word.span, message)
                    .label("this value")
                    .help(help),
            );
        }
        good.filter(|d| !d.is_zero())
    }
}

const NETWORKS: [(&str, Network); 3] =
    [("default", Network::Default), ("none", Network::None), ("host", Network::Host)];

const SECURITIES: [(&str, Security); 2] =
    [("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];
