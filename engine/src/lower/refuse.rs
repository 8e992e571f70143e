//! What is read and not built: parts of the language whose engine does not exist yet, and modes
//! that cannot be kept on this machine. Each becomes a refusal of the plan, with its place.

use mabuild_lang::config::{Mode, Test};
use mabuild_lang::source::Spanned;

use super::LowerError;
use crate::spec::{Asked, Stage};

/// What a mode forbids: programs that run and cannot. `native` are the architectures whose programs
/// this machine runs.
pub(super) fn programs(
    mode: &Spanned<Mode>,
    stages: &[Stage<Asked>],
    native: &[&'static str],
) -> Result<(), LowerError> {
    for stage in stages {
        let platform = &stage.platform;
        let Some(step) = stage.steps.iter().find(|step| step.op.runs()) else {
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
