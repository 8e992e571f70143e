//! `mabuild image run`.

use std::io::IsTerminal;

use clap::ValueEnum;
use mabuild_engine::ops::Cancel;
use mabuild_engine::ops::shell::{self, Ended, ShellAt, ShellRequest};

use crate::args::{ReadArgs, image_at};
use crate::context::Context;
use crate::flags;
use crate::stop::{INTERRUPTED, Stop, USAGE};
use crate::term::interrupt;

/// Arguments of `image run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is that of the program. What it changes is lost.\n\nExamples:\n  mabuild image run web                                what its entry point and command say\n  mabuild image run web:1.0@linux/arm64 uname -m       on another platform\n  mabuild image run --entrypoint sh web -c 'ls /srv'\n  mabuild image run --at 3e88d3096cf9                  a shell before the step that failed\n  mabuild image run --at 3e88d3096cf9 sh -c 'ls -l'"
)]
pub struct Args {
    /// IMAGE[@PLATFORM] as NAME, NAME:TAG or a digest, or an image of a registry; then what to run in
    /// place of its command
    #[arg(value_name = "IMAGE|COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
    /// Run at the point before a step that failed, by the name that its failure tells
    #[arg(long, value_name = "POINT", conflicts_with = "entrypoint")]
    at: Option<String>,
    /// What to run in place of the entry point
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// A variable; of NAME alone, that of the environment
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = flags::pair)]
    env: Vec<(String, Option<String>)>,
    /// Run as this user in place of the usual one
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Run in this folder in place of the usual one
    #[arg(short, long, value_name = "FOLDER")]
    workdir: Option<String>,
    /// Which network the program has
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkArg>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
    /// That of this machine
    Host,
    /// None besides loopback
    None,
}

/// Runs a program in an image or at a point.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let (at, command) = match (&args.at, args.words.split_first()) {
        (Some(point), _) => (ShellAt::Point(point.clone()), args.words.clone()),
        (None, Some((image, words))) => {
            let (reference, platform) = image_at(image);
            (ShellAt::Image { reference, platform }, words.to_vec())
        }
        (None, None) => {
            let help = "name an image of `mabuild image ls`, or a point with --at";
            context.terminal.error("mabuild::cli::usage", "there is nothing to run", Some(help));
            return Err(Stop(USAGE));
        }
    };
    let value = |(name, value): &(String, Option<String>)| {
        let value = value.as_ref().or_else(|| context.env.vars.get(name))?;
        Some((name.clone(), value.clone()))
    };
    let mut vars: Vec<(String, String)> = args.env.iter().filter_map(value).collect();
    let is_screen = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if let Some(term) = context.env.vars.get("TERM").filter(|_| is_screen) {
        // What is asked for comes later and counts more.
        vars.insert(0, ("TERM".to_owned(), term.clone()));
    }
    let request = ShellRequest {
        at,
        command,
        entrypoint: args.entrypoint.clone(),
        vars,
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        network: args.network.map(|network| network == NetworkArg::Host),
        read: context.reading(&args.read)?,
    };
    let cancel = Cancel::default();
    interrupt::watch(&context.terminal, cancel.clone(), || {})?;
    let terminal = context.terminal;
    let begin = move |failed: &[String]| {
        if !failed.is_empty() {
            terminal.say(&format!("what failed here: {}\n", shown(failed)));
        }
    };
    let ended = shell::shell(&context.env, &request, &cancel, &begin);
    let code = match ended.map_err(|e| context.failed(&e, None))? {
        Ended::Code(code) => code,
        Ended::Signal(signal) => 128 + signal,
        Ended::Cancelled => i32::from(INTERRUPTED),
    };
    match u8::try_from(code).unwrap_or(u8::MAX) {
        0 => Ok(()),
        code => Err(Stop(code)),
    }
}

/// Words as a shell would take them.
fn shown(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = words.iter().map(|word| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    });
    mabuild_engine::report::words::one_line(&quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_can_be_pasted() {
        let words = ["/bin/sh", "-c", "echo 'a b'", ""].map(str::to_owned);
        assert_eq!(shown(&words), r"/bin/sh -c 'echo '\''a b'\''' ''");
    }
}
