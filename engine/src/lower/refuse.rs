//! What is read and not built: parts of the language whose engine does not exist yet, and modes
//! that cannot be kept on this machine. Each becomes a refusal of the plan, with its place.

use mabuild_lang::config::{Debian, Mode, RegistryBase, Test, Variant};
use mabuild_lang::source::{Span, Spanned};

use super::LowerError;
use crate::spec::{Asked, Op, Stage};

/// The refusal of a part of the language that this version reads and does not build.
pub(super) fn later(what: &str, span: Span) -> LowerError {
    LowerError { message: format!("this version of mabuild does not build {what} yet"), span }
}

/// What of a Debian archive is not built.
pub(super) fn debian(debian: &Debian) -> Result<(), LowerError> {
    if debian.variant != Variant::Extract {
        return Err(later("`variant \"minbase\"`", debian.span));
    }
    let flags = [("`updates`", debian.updates), ("`security`", debian.security)];
    let flags = flags.into_iter().filter_map(|(word, span)| Some((word, span?)));
    let trim = debian.trim.iter().map(|trim| ("`trim`", trim.span));
    match flags.chain(trim).next() {
        Some((word, span)) => Err(later(word, span)),
        None => Ok(()),
    }
}

/// What of a base of a registry is not followed.
pub(super) fn registry(base: &RegistryBase) -> Result<(), LowerError> {
    match &base.follow {
        Some(follow) if follow.min_age.is_some() => Err(later("`min-age`", follow.span)),
        _ => Ok(()),
    }
}

/// What a mode forbids: programs that run and cannot. `native` are the architectures whose programs
/// this machine runs.
pub(super) fn programs(
    mode: &Spanned<Mode>,
    stages: &[Stage<Asked>],
    native: &[&'static str],
) -> Result<(), LowerError> {
    for stage in stages {
        let platform = &stage.platform;
        let Some(step) = stage.steps.iter().find(|step| matches!(step.op, Op::Run(_))) else {
            continue;
        };
        let message = match mode.value {
            _ if platform.os != "linux" => {
                format!(
                    "no program of {platform} can be run here; such images are built by copying"
                )
            }
            _ if native.contains(&&*platform.arch) => continue,
            Mode::Auto | Mode::Emulate => continue,
            Mode::Cross => format!(
                "`mode \"cross\"` runs nothing foreign, and this step runs a program of {platform}"
            ),
            Mode::Native => format!(
                "`mode \"native\"` needs a worker of {platform} for this step, and there is none"
            ),
        };
        return Err(LowerError { message, span: step.span });
    }
    Ok(())
}

/// The refusal of a node whose tests would not be run.
pub(super) fn tests(tests: &[Test]) -> Result<(), LowerError> {
    match tests.first() {
        None => Ok(()),
        Some(test) => Err(LowerError {
            message: "this version of mabuild runs no tests yet; build without them by --no-test"
                .to_owned(),
            span: test.span,
        }),
    }
}
