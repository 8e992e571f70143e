//! What is read and not built: parts of the language whose engine does not exist yet, and modes
//! that cannot be kept on this machine. Each becomes a refusal of the plan, with its place.

use mabuild_lang::config::{Body, Debian, Image, Mode, Step, StepOp, Test, Variant};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{Span, Spanned};

use super::LowerError;

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

/// What of an image is not built on a platform. `native` says whether this machine runs its
/// programs.
pub(super) fn image(image: &Image, platform: &Platform, native: bool) -> Result<(), LowerError> {
    let body: &Body = &image.body;
    if let Some(dockerfile) = &body.dockerfile {
        return Err(later("Dockerfiles", dockerfile.span));
    }
    mode(&body.mode, &body.steps, platform, native)
}

/// What a mode forbids on a platform: what runs there, and cannot.
fn mode(
    mode: &Spanned<Mode>,
    steps: &[Step],
    platform: &Platform,
    native: bool,
) -> Result<(), LowerError> {
    let here = |step: &&Step| {
        let only = step.only.as_deref();
        only.is_none_or(|only| only.iter().any(|known| known.value == *platform))
    };
    let runs = |step: &&Step| matches!(step.op, StepOp::Run(_) | StepOp::Packages { .. });
    let Some(step) = steps.iter().filter(here).find(runs).filter(|_| !native) else {
        return Ok(());
    };
    let message = match mode.value {
        Mode::Auto | Mode::Emulate => return Ok(()),
        Mode::Cross => format!(
            "`mode \"cross\"` runs nothing foreign, and this step runs a program of {platform}"
        ),
        Mode::Native => format!(
            "`mode \"native\"` needs a worker of {platform} for this step, and there is none"
        ),
    };
    Err(LowerError { message, span: step.span })
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
