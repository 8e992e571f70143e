//! What the config of an image says.

use std::sync::Arc;

use super::Text;
use crate::source::Spanned;

/// What the config of an image says; none and empty mean "as below".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Variables, in order.
    pub env: Vec<(String, Text)>,
    /// Labels, in order.
    pub labels: Vec<(Text, Text)>,
    /// Entry point; also resets the command of the image below, as Docker does.
    pub entrypoint: Option<Vec<Text>>,
    /// Command.
    pub cmd: Option<Vec<Text>>,
    /// Ports, `80/tcp`.
    pub expose: Vec<Text>,
    /// Volumes.
    pub volumes: Vec<Text>,
    /// Working directory.
    pub workdir: Option<Text>,
    /// User.
    pub user: Option<Text>,
    /// Signal that stops a container.
    pub stop_signal: Option<Text>,
}

impl Settings {
    /// Puts other settings over these: what they say counts, lists are joined.
    pub fn overlay(&mut self, other: Settings) {
        let Settings { env, labels, entrypoint, cmd, expose, volumes, workdir, user, stop_signal } =
            other;
        for (name, value) in env {
            match self.env.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.env.push((name, value)),
            }
        }
        for (name, value) in labels {
            match self.labels.iter_mut().find(|(known, _)| known.parts == name.parts) {
                Some((_, known)) => *known = value,
                None => self.labels.push((name, value)),
            }
        }
        let join = |list: &mut Vec<Text>, more: Vec<Text>| {
            for text in more {
                if !list.iter().any(|known| known.parts == text.parts) {
                    list.push(text);
                }
            }
        };
        join(&mut self.expose, expose);
        join(&mut self.volumes, volumes);
        self.entrypoint = entrypoint.or(self.entrypoint.take());
        self.cmd = cmd.or(self.cmd.take());
        self.workdir = workdir.or(self.workdir.take());
        self.user = user.or(self.user.take());
        self.stop_signal = stop_signal.or(self.stop_signal.take());
    }
}

/// Puts arguments over others: a name that is there already gets the new value.
pub fn overlay_args(
    args: &mut Vec<(Spanned<Arc<str>>, Text)>,
    other: Vec<(Spanned<Arc<str>>, Text)>,
) {
    for (name, value) in other {
        match args.iter_mut().find(|(known, _)| known.value == name.value) {
            Some(known) => *known = (name, value),
            None => args.push((name, value)),
        }
    }
}
