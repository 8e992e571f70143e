//! The walk over instructions.

use std::sync::Arc;

use super::{Name, ParentWalk, Sink, Value, texts, texts_of_pairs, walk_pin};
use crate::facts::{FileSet, Pin};
use crate::spec::{
    Arg, Bound, Command, Copy, Healthcheck, Image, Input, Mount, Mounted, Op, Packages, Phase,
    Program, Run, Sharing,
};

/// Where fields go, and how parents are named.
pub(super) struct Walker<'a, 'p, P: Phase> {
    pub parent: &'a mut ParentWalk<'p, P>,
    pub sink: &'a mut dyn Sink,
}

impl<P> Walker<'_, '_, P>
where
    P: Phase<Files = Arc<FileSet>, Upstream = Arc<Pin>>,
{
    pub fn op(&mut self, op: &Op<P>, name: &Name<'_>) {
        match op {
            Op::Copy(copy) => self.copy(copy, name),
            Op::File { path, content, owner, mode } => {
                self.text(name, "file");
                self.text(&name.field("path"), path);
                self.text(&name.field("content"), content);
                self.ownership(owner.as_deref(), *mode, name);
            }
            Op::Mkdir { paths, owner, mode } => {
                self.list("mkdir", "paths", paths, name);
                self.ownership(owner.as_deref(), *mode, name);
            }
            Op::Symlink { target, path } => {
                self.text(name, "symlink");
                self.text(&name.field("target"), target);
                self.text(&name.field("path"), path);
            }
            Op::Remove { paths } => self.list("remove", "paths", paths, name),
            Op::Run(run) => self.run(run, name),
            Op::Packages(packages) => {
                // What was asked for is in the pin, too.
                let Packages { names: _, from } = &**packages;
                self.text(name, "packages");
                walk_pin(from, name, self.sink);
            }
            Op::Env(pairs) => self.pairs("env", pairs, name),
            Op::Label(pairs) => self.pairs("label", pairs, name),
            Op::Workdir(path) => self.one("workdir", "path", path, name),
            Op::User(user) => self.one("user", "name", user, name),
            Op::StopSignal(signal) => self.one("stopsignal", "signal", signal, name),
            Op::Onbuild(trigger) => self.one("onbuild", "trigger", trigger, name),
            Op::Maintainer(author) => self.one("maintainer", "author", author, name),
            Op::Shell(words) => self.list("shell", "words", words, name),
            Op::Expose(ports) => self.list("expose", "ports", ports, name),
            Op::Volume(paths) => self.list("volume", "paths", paths, name),
            Op::Arg(list) => {
                self.text(name, "arg");
                for Arg { name: argument, default, value } in list {
                    let argument = name.field(argument);
                    self.maybe(&argument, value.as_deref());
                    self.maybe(&argument.field("default"), default.as_deref());
                }
            }
            Op::Entrypoint(command) => self.command("entrypoint", command, name),
            Op::Cmd(command) => self.command("cmd", command, name),
            Op::Healthcheck(check) => self.healthcheck(check, name),
        }
    }

    fn text(&mut self, name: &Name<'_>, text: &str) {
        self.sink.field(name, Value::Text(text));
    }

    fn maybe(&mut self, name: &Name<'_>, text: Option<&str>) {
        self.sink.field(name, text.map_or(Value::Unset, Value::Text));
    }

    fn number(&mut self, name: &Name<'_>, number: i64) {
        self.sink.field(name, Value::Number(number));
    }

    fn flag(&mut self, name: &Name<'_>, flag: bool) {
        // What is not said leaves no trace in a record.
        let value = if flag { Value::Number(1) } else { Value::Unset };
        self.sink.field(name, value);
    }

    fn one(&mut self, kind: &str, field: &str, text: &str, name: &Name<'_>) {
        self.text(name, kind);
        self.text(&name.field(field), text);
    }

    fn list(&mut self, kind: &str, field: &str, list: &[String], name: &Name<'_>) {
        self.text(name, kind);
        texts(list, &name.field(field), self.sink);
    }

    fn pairs(&mut self, kind: &str, pairs: &[(String, String)], name: &Name<'_>) {
        self.text(name, kind);
        texts_of_pairs(pairs, name, self.sink);
    }

    fn command(&mut self, kind: &str, command: &Command, name: &Name<'_>) {
        self.text(name, kind);
        match command {
            Command::Shell(text) => self.text(&name.field("shell"), text),
            Command::Exec(words) => texts(words, &name.field("words"), self.sink),
        }
    }

    fn ownership(&mut self, owner: Option<&str>, mode: Option<u32>, name: &Name<'_>) {
        self.maybe(&name.field("chown"), owner);
        self.sink.field(&name.field("mode"), mode.map_or(Value::Unset, Value::Mode));
    }

    /// An earlier stage, by its place.
    pub fn stage(&mut self, stage: usize, name: &Name<'_>) {
        self.text(name, &format!("stages[{stage}]"));
    }

    fn image(&mut self, image: &Image<P>, name: &Name<'_>) {
        match image {
            Image::Parent(parent) => (self.parent)(parent, name, self.sink),
            Image::Stage(stage) => self.stage(*stage, name),
        }
    }

    fn file_set(&mut self, set: &FileSet, name: &Name<'_>) {
        self.sink.files(&name.field("files"), set);
    }

    fn copy(&mut self, copy: &Copy<P>, name: &Name<'_>) {
        let Copy { add, sources, inputs, dest, owner, mode, unpack, link, parents, exclude } = copy;
        self.text(name, if *add { "add" } else { "copy" });
        texts(sources, &name.field("sources"), self.sink);
        for input in inputs {
            match input {
                Input::Files(set) => self.file_set(set, name),
                Input::Image { image, sources } => {
                    self.image(image, &name.field("from"));
                    texts(sources, &name.field("paths"), self.sink);
                }
                Input::Inline { name: file, content } => {
                    let list = name.field("inline");
                    self.text(&list.field(file), content);
                }
            }
        }
        self.text(&name.field("dest"), dest);
        self.maybe(&name.field("chown"), owner.as_deref());
        self.maybe(&name.field("mode"), mode.as_deref());
        let unpack = unpack.map_or(Value::Unset, |unpack| Value::Number(i64::from(unpack)));
        self.sink.field(&name.field("unpack"), unpack);
        self.flag(&name.field("link"), *link);
        self.flag(&name.field("parents"), *parents);
        texts(exclude, &name.field("exclude"), self.sink);
    }

    fn run(&mut self, run: &Run<P>, name: &Name<'_>) {
        let Run { program, mounts, network } = run;
        self.text(name, "run");
        match program {
            Program::Command(Command::Shell(text)) => self.text(&name.field("shell"), text),
            Program::Command(Command::Exec(words)) => {
                texts(words, &name.field("words"), self.sink);
            }
            Program::Script { name: file, content } => {
                let list = name.field("script");
                self.text(&list.field(file), content);
            }
        }
        let list = name.field("mounts");
        for (at, mount) in mounts.iter().enumerate() {
            self.mount(mount, &list.at(at));
        }
        self.number(&name.field("network"), i64::from(*network));
    }

    fn mount(&mut self, mount: &Mount<P>, name: &Name<'_>) {
        let Mount { target, what } = mount;
        let kind = match what {
            Mounted::Bind { .. } => "bind",
            Mounted::Cache { .. } => "cache",
            Mounted::Tmpfs { .. } => "tmpfs",
            Mounted::Secret { .. } => "secret",
            Mounted::Ssh { .. } => "ssh",
        };
        self.text(name, kind);
        self.text(&name.field("target"), target);
        match what {
            Mounted::Bind { from, source, writable } => {
                self.bound(from, source, name);
                self.flag(&name.field("rw"), *writable);
            }
            Mounted::Cache { id, from, sharing, writable, mode, uid, gid } => {
                self.text(&name.field("id"), id);
                if let Some((from, path)) = from {
                    self.bound(from, path, name);
                }
                let sharing = match sharing {
                    Sharing::Shared => "shared",
                    Sharing::Private => "private",
                    Sharing::Locked => "locked",
                };
                self.text(&name.field("sharing"), sharing);
                self.flag(&name.field("rw"), *writable);
                self.owned(*mode, *uid, *gid, name);
            }
            Mounted::Tmpfs { size } => {
                let size = size.map(|size| size.to_string());
                self.maybe(&name.field("size"), size.as_deref());
            }
            Mounted::Secret { id, env, required, mode, uid, gid } => {
                self.text(&name.field("id"), id);
                self.maybe(&name.field("env"), env.as_deref());
                self.flag(&name.field("required"), *required);
                self.owned(*mode, *uid, *gid, name);
            }
            Mounted::Ssh { id, required, mode, uid, gid } => {
                self.text(&name.field("id"), id);
                self.flag(&name.field("required"), *required);
                self.owned(*mode, *uid, *gid, name);
            }
        }
    }

    fn owned(&mut self, mode: u32, uid: u32, gid: u32, name: &Name<'_>) {
        self.sink.field(&name.field("mode"), Value::Mode(mode));
        self.number(&name.field("uid"), uid.into());
        self.number(&name.field("gid"), gid.into());
    }

    fn bound(&mut self, from: &Bound<P>, source: &str, name: &Name<'_>) {
        match from {
            Bound::Files(set) => self.file_set(set, name),
            Bound::Image(image) => self.image(image, &name.field("from")),
            Bound::Scratch => self.text(&name.field("from"), "scratch"),
        }
        self.text(&name.field("source"), source);
    }

    fn healthcheck(&mut self, check: &Healthcheck, name: &Name<'_>) {
        let Healthcheck { test, interval, timeout, start_period, start_interval, retries } = check;
        self.text(name, "healthcheck");
        texts(test, &name.field("test"), self.sink);
        let times = [
            ("interval", interval),
            ("timeout", timeout),
            ("start-period", start_period),
            ("start-interval", start_interval),
        ];
        for (field, nanoseconds) in times {
            self.text(&name.field(field), &nanoseconds.to_string());
        }
        self.number(&name.field("retries"), (*retries).into());
    }
}
