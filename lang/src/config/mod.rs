//! Typed values of a whole file after linking: what the engine lowers to a graph.
//! Names are resolved, defaults are filled in, only what depends on the platform is open.

mod base;
mod builder;
mod dockerfile;
mod hook;
mod host;
mod image;
mod located;
mod publish;
mod secret;
mod settings;
mod tests;
mod text;

use std::sync::Arc;

pub use base::{
    Alpine, AlpineRepository, Base, BaseSource, Debian, DebianRepository, Follow, Moves, OciLayout,
    RegistryBase, Rootfs, Trim, Variant,
};
pub use builder::{Builder, Tls, Worker};
pub use dockerfile::{Build, ContextSource, Dockerfile, Mode, Named, NamedContext, Place, Recipe};
pub use hook::{Event, Hook};
pub use host::{Host, Mirror};
pub use image::{Body, Copy, Image, Network, Override, Run, Step, StepOp, Watch};
pub use located::Located;
pub use publish::{Format, Publishing, Require};
pub use secret::{Secret, SecretSource};
pub use settings::{Settings, overlay_args};
pub use tests::{Check, Expect, Test};
pub use text::{Part, PlatformField, Text};

use crate::platform::Platform;
use crate::source::Spanned;

/// Index of a base in [`Config::bases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseId(pub u32);

/// Index of an image in [`Config::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub u32);

/// A base or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeRef {
    /// A base.
    Base(BaseId),
    /// An image.
    Image(ImageId),
}

/// A whole description: the main file and all that it includes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Bases in the order of the files; behind them those that no file declares.
    pub bases: Vec<Base>,
    /// Images in the order of the files, the variants of one beside each other.
    pub images: Vec<Image>,
    /// Groups in the order of the files.
    pub groups: Vec<Group>,
    /// Builders in the order of the files.
    pub builders: Vec<Builder>,
    /// What is called after a run, in the order of the files.
    pub hooks: Vec<Hook>,
    /// Where a `publish` without a host goes, `HOST[:PORT][/PATH]`.
    pub registry: Option<Spanned<String>>,
    /// Settings of the hosts of registries, each host once, in the order of the files.
    pub hosts: Vec<Host>,
    /// Repository that results of steps are kept in, `[HOST[:PORT]/]PATH`; without a host it is one
    /// of `registry`.
    pub remote_cache: Option<Spanned<String>>,
    /// The machine's own platform, which `BUILDPLATFORM` means in Dockerfiles.
    pub build_platform: Platform,
}

/// A named list of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name.
    pub name: Spanned<Arc<str>>,
    /// Members, groups resolved to their nodes, each once.
    pub members: Vec<Spanned<NodeRef>>,
}

impl Config {
    /// The base of an id made for this config.
    pub fn base(&self, id: BaseId) -> Option<&Base> {
        self.bases.get(id.0 as usize)
    }

    /// The image of an id made for this config.
    pub fn image(&self, id: ImageId) -> Option<&Image> {
        self.images.get(id.0 as usize)
    }
}
