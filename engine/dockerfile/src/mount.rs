//! `RUN --mount=…`. The options are comma-separated, and their values may hold variables, so they
//! are read twice: when the file is read, as far as that is possible, and again when the values of
//! the variables are known.

use crate::ast::Word;
use crate::expand;
use crate::fields::{Field, comma_separated, truth};
use crate::lex::Env;
use crate::problem::{Problem, Span, did_you_mean};

/// A `--mount` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountFlag {
    /// The flag's value.
    pub text: Word,
    /// `from=`: a stage, a named context or an image; never expanded.
    pub from: Option<Word>,
    fields: Vec<Field>,
}

/// A mount whose variables are expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// The stage, named context or image that `source` is in; the build context if there is none.
    pub from: Option<String>,
    /// The path in `from`.
    pub source: Option<String>,
    /// The path in the step; relative ones stand below the working directory.
    pub target: Option<String>,
    /// Whether it cannot be written to.
    pub read_only: bool,
    /// The name of the cache, secret or agent.
    pub id: Option<String>,
    /// Who else may use the cache at the same time.
    pub sharing: Sharing,
    /// Whether the step fails without the secret or agent.
    pub required: bool,
    /// The most a tmpfs may hold, in bytes.
    pub size: Option<u64>,
    /// The file mode of the secret, agent socket or cache folder.
    pub mode: Option<u32>,
    /// The owner of the secret, agent socket or cache folder.
    pub uid: Option<u32>,
    /// The group of the secret, agent socket or cache folder.
    pub gid: Option<u32>,
    /// The environment variable that holds the secret.
    pub env: Option<String>,
}

/// `type=` of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the build context, a stage or an image.
    #[default]
    Bind,
    /// A folder that stays from build to build.
    Cache,
    /// A folder in memory.
    Tmpfs,
    /// A file or variable that no layer holds.
    Secret,
    /// An agent's socket.
    Ssh,
}

impl MountKind {
    /// Gives the name as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// `sharing=` of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody at once.
    #[default]
    Shared,
    /// A copy for everybody who comes while it is in use.
    Private,
    /// One after the other.
    Locked,
}

/// The option names, the long one of each group first.
const OPTIONS: &[&str] = &[
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// So many problems of one mount are kept.
const MOST: usize = 20;

/// Reads a `--mount`. The problems are those that are certain before variables are known.
pub(crate) fn read(text: Word) -> (Option<MountFlag>, Vec<Problem>) {
    let fields = match comma_separated(&text) {
        Ok(fields) => fields,
        Err(problem) => return (None, vec![problem]),
    };
    let mut problems: Vec<Problem> = fields.iter().filter_map(check_key).take(MOST).collect();
    // What a tmpfs says of it means nothing.
    let last = |key: &str| fields.iter().rev().find(|f| f.key == key)?.value.clone();
    let is_tmpfs = last("type").is_some_and(|kind| kind.raw.eq_ignore_ascii_case("tmpfs"));
    let from = last("from").filter(|_| !is_tmpfs);
    if let Some(from) = from.as_ref().filter(|from| has_variable(&from.raw)) {
        problems.push(variable_in_from(from, "from"));
    }
    let flag = MountFlag { text, from, fields };
    if problems.is_empty() && flag.fields.iter().all(Field::is_plain) {
        problems.extend(flag.resolve('\\', &|_| None).err());
    }
    (Some(flag), problems)
}

/// Whether there is a `$` with something behind it.
pub(crate) fn has_variable(text: &str) -> bool {
    text.find('$').is_some_and(|at| at + 1 < text.len())
}

/// Says that COPY's `--from` or a mount's `from` holds a variable, which BuildKit refuses too.
pub(crate) fn variable_in_from(from: &Word, flag: &str) -> Problem {
    let message = format!("`{flag}` cannot hold variables");
    Problem::error(code!("variable-in-from"), from.span, message).label("not expanded").help(
        format!("give the image a name: `FROM image:$TAG AS name` at the top, then `{flag}=name`"),
    )
}

fn check_key(field: &Field) -> Option<Problem> {
    if OPTIONS.contains(&field.key.as_str()) {
        let alone = ["readonly", "ro", "readwrite", "rw", "required"];
        if field.value.is_some() || alone.contains(&field.key.as_str()) {
            return None;
        }
        let message = format!("`{}` of a mount needs a value", field.key);
        return Some(
            Problem::error(code!("bad-mount"), field.span, message)
                .label("no `=value`")
                .help(format!("write `{}=…`", field.key)),
        );
    }
    let message = format!("a mount has no option `{}`", field.key);
    let help = did_you_mean(&field.key, OPTIONS.iter().copied());
    Some(
        Problem::error(code!("unknown-mount-option"), field.span, message)
            .label("unknown")
            .maybe_help(help),
    )
}

impl MountFlag {
    /// Gives the values of the options; variables in them are expanded.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Word> {
        self.fields.iter().filter_map(|field| field.value.as_ref())
    }

    /// Expands variables and checks everything.
    ///
    /// # Errors
    /// The first problem.
    pub fn resolve(&self, escape: char, env: Env<'_>) -> Result<Mount, Problem> {
        let mut mount = Mount::default();
        let mut read_only = None;
        let mut shared = None;
        for field in &self.fields {
            let value = match &field.value {
                Some(word) => Some(expand::word(word, escape, env)?.text),
                None => None,
            };
            let option = Opt { field, value: value.as_deref() };
            match field.key.as_str() {
                "readonly" | "ro" => read_only = Some(option.truth()?),
                "readwrite" | "rw" => read_only = Some(!option.truth()?),
                "required" if !matches!(mount.kind, MountKind::Secret | MountKind::Ssh) => {
                    return Err(required_too_early(field));
                }
                "sharing" => {
                    mount.sharing = option.sharing()?;
                    shared = Some(field.span);
                }
                _ => mount.set(&option)?,
            }
        }
        let writable = matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs);
        mount.read_only = read_only.unwrap_or(!writable);
        self.check(&mount, shared)?;
        Ok(mount)
    }

    fn check(&self, mount: &Mount, shared: Option<Span>) -> Result<(), Problem> {
        let kind = mount.kind.name();
        let only = |key: &str, allowed: &[MountKind]| {
            let field = self.fields.iter().find(|f| f.key == key);
            let field = field.filter(|_| !allowed.contains(&mount.kind));
            field.map_or(Ok(()), |field| {
                let names: Vec<&str> = allowed.iter().map(|k| k.name()).collect();
                Err(Problem::error(
                    code!("bad-mount"),
                    field.span,
                    format!("`{key}` is no option of a `{kind}` mount"),
                )
                .label("not here")
                .help(format!("it belongs to `type={}`", names.join("` or `type="))))
            })
        };
        use MountKind::{Cache, Secret, Ssh, Tmpfs};
        for key in ["mode", "uid", "gid"] {
            only(key, &[Cache, Secret, Ssh])?;
        }
        only("size", &[Tmpfs])?;
        only("env", &[Secret])?;
        if let Some(span) = shared.filter(|_| mount.kind != Cache) {
            let message = format!("`sharing` is no option of a `{kind}` mount");
            return Err(Problem::error(code!("bad-mount"), span, message)
                .label("not here")
                .help("it belongs to `type=cache`"));
        }
        if mount.kind == Secret { self.check_secret(mount) } else { Ok(()) }
    }

    fn check_secret(&self, mount: &Mount) -> Result<(), Problem> {
        let (message, help) = if mount.from.is_some() {
            ("a secret has no `from`", "secrets come from the caller of the build, by `id`")
        } else if mount.source.is_none()
            && mount.target.is_none()
            && mount.id.is_none()
            && mount.env.is_none()
        {
            ("a secret needs a name", "write `--mount=type=secret,id=NAME`")
        } else if mount.source.is_some() && mount.id.is_some() {
            ("a secret has both `source` and `id`", "they mean the same: keep `id`")
        } else {
            return Ok(());
        };
        Err(Problem::error(code!("bad-mount"), self.text.span, message)
            .label("this secret")
            .help(help))
    }
}

/// BuildKit reads the options in their order, and needs the type first here.
fn required_too_early(field: &Field) -> Problem {
    Problem::error(code!("bad-mount"), field.span, "`required` is for secrets and agents only")
        .label("not here")
        .help("write `type=secret` or `type=ssh` before it")
}

impl Mount {
    fn set(&mut self, option: &Opt<'_>) -> Result<(), Problem> {
        let text = || option.value.filter(|v| !v.is_empty()).map(str::to_owned);
        match option.field.key.as_str() {
            "type" => self.kind = option.kind()?,
            "from" => self.from = text(),
            "source" | "src" => self.source = text(),
            "target" | "dst" | "destination" => self.target = text(),
            "id" => self.id = text(),
            "env" => self.env = text(),
            "required" => self.required = option.truth()?,
            "size" => self.size = Some(option.size()?),
            "mode" => self.mode = Some(option.number(8)?),
            "uid" => self.uid = Some(option.number(10)?),
            "gid" => self.gid = Some(option.number(10)?),
            _ => {}
        }
        Ok(())
    }
}

/// One option with its expanded value.
struct Opt<'a> {
    field: &'a Field,
    value: Option<&'a str>,
}

impl Opt<'_> {
    fn bad(&self, help: impl Into<String>) -> Problem {
        let (key, value) = (&self.field.key, self.value.unwrap_or_default());
        let span = self.field.value.as_ref().map_or(self.field.span, |v| v.span);
        Problem::error(code!("bad-mount"), span, format!("`{key}` of a mount cannot be `{value}`"))
            .label("this value")
            .help(help)
    }

    fn truth(&self) -> Result<bool, Problem> {
        match self.value {
            None => Ok(true),
            Some(value) => truth(value).ok_or_else(|| self.bad("write `true` or `false`")),
        }
    }

    fn number(&self, radix: u32) -> Result<u32, Problem> {
        let value = self.value.unwrap_or_default();
        let digits = value.chars().all(|c| c.is_digit(radix));
        let number = if digits { u32::from_str_radix(value, radix).ok() } else { None };
        number.ok_or_else(|| {
            self.bad(if radix == 8 {
                "write an octal number such as `0755`"
            } else {
                "write a number"
            })
        })
    }

    fn kind(&self) -> Result<MountKind, Problem> {
        use MountKind::{Bind, Cache, Secret, Ssh, Tmpfs};
        let all = [Bind, Cache, Tmpfs, Secret, Ssh];
        let given = self.value.unwrap_or_default().to_ascii_lowercase();
        all.into_iter().find(|k| k.name() == given).ok_or_else(|| {
            let near = did_you_mean(&given, all.into_iter().map(MountKind::name));
            self.bad(near.unwrap_or_else(|| "known are bind, cache, tmpfs, secret and ssh".into()))
        })
    }

    fn sharing(&self) -> Result<Sharing, Problem> {
        let given = self.value.unwrap_or_default().to_ascii_lowercase();
        match given.as_str() {
            "shared" => Ok(Sharing::Shared),
            "private" => Ok(Sharing::Private),
            "locked" => Ok(Sharing::Locked),
            _ => {
                let near = did_you_mean(&given, ["shared", "private", "locked"]);
                Err(self.bad(near.unwrap_or_else(|| "known are shared, private and locked".into())))
            }
        }
    }

    fn size(&self) -> Result<u64, Problem> {
        let value = self.value.unwrap_or_default();
        crate::fields::size(value).ok_or_else(|| self.bad("write a size such as `64m` or `1g`"))
    }
}
