//! What the config of an image says.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::{Part, Text};
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
        put(&mut self.env, env, |name| name.clone());
        put(&mut self.labels, labels, |name| name.parts.clone());
        join(&mut self.expose, expose);
        join(&mut self.volumes, volumes);
        self.entrypoint = entrypoint.or(self.entrypoint.take());
        self.cmd = cmd.or(self.cmd.take());
        self.workdir = workdir.or(self.workdir.take());
        self.user = user.or(self.user.take());
        self.stop_signal = stop_signal.or(self.stop_signal.take());
    }
}

/// Puts pairs over others: a name that is there already gets the new value. The lists may be long,
/// so that names are looked up in a table.
pub(super) fn put<N, V, K: Eq + Hash>(
    list: &mut Vec<(N, V)>,
    more: Vec<(N, V)>,
    key: impl Fn(&N) -> K,
) {
    let mut places: HashMap<K, usize> =
        list.iter().enumerate().map(|(at, (name, _))| (key(name), at)).collect();
    for (name, value) in more {
        let place = *places.entry(key(&name)).or_insert(list.len());
        match list.get_mut(place) {
            Some((_, known)) => *known = value,
            None => list.push((name, value)),
        }
    }
}

/// Adds texts that are not there yet.
fn join(list: &mut Vec<Text>, more: Vec<Text>) {
    let mut known: HashSet<Vec<Part>> = list.iter().map(|text| text.parts.clone()).collect();
    list.extend(more.into_iter().filter(|text| known.insert(text.parts.clone())));
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
