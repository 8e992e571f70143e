//! Bases to what is asked of their upstreams.

use mabuild_lang::config::{
    Alpine, AlpineRepository, Base, BaseSource, Debian, Follow as FollowConfig, Text,
    Trim as TrimConfig, Variant,
};

use super::LowerError;
use super::steps::Render;
use crate::facts::{
    AlpineArchive, AlpineAsk, ArchiveKeys, DebianArchive, DebianAsk, DebianVariant, Follow, Trim,
    UpstreamAsk,
};

/// Repositories of Alpine that count without being named.
const ALPINE: [&str; 2] = ["main", "community"];

/// What a base asks of its upstream. `located` makes paths absolute and leaves addresses alone.
pub(super) fn ask(
    base: &Base,
    r: &Render<'_>,
    located: &dyn Fn(&str) -> String,
) -> Result<UpstreamAsk, LowerError> {
    let path = |text: &Option<Text>| -> Result<Option<String>, LowerError> {
        Ok(r.option(text)?.map(|text| located(&text)))
    };
    Ok(match &base.source {
        BaseSource::Rootfs(rootfs) => UpstreamAsk::Rootfs {
            location: located(&r.text(&rootfs.location)?),
            checksums: path(&rootfs.checksums)?,
            digest: r.option(&rootfs.digest)?,
            signature: match &rootfs.signature {
                Some((signature, keys)) => {
                    Some((located(&r.text(signature)?), located(&r.text(keys)?)))
                }
                None => None,
            },
            follow: follow(rootfs.follow.as_ref(), r, located)?,
        },
        BaseSource::Debian(debian) => UpstreamAsk::Debian(self::debian(debian, r, &path)?),
        BaseSource::Alpine(alpine) => UpstreamAsk::Alpine(self::alpine(alpine, r, &path)?),
        BaseSource::Registry(registry) => {
            let reference = r.text(&registry.reference)?;
            UpstreamAsk::Registry {
                reference: mabuild_lang::reference::normal(&reference),
                range: match &registry.follow {
                    Some(follow) => Some(r.text(&follow.range)?),
                    None => None,
                },
                platform: r.platform.to_string(),
            }
        }
        BaseSource::OciLayout(layout) => UpstreamAsk::OciLayout {
            path: located(&r.text(&layout.path)?),
            reference: r.option(&layout.reference)?,
            platform: r.platform.to_string(),
        },
    })
}

fn follow(
    follow: Option<&FollowConfig>,
    r: &Render<'_>,
    located: &dyn Fn(&str) -> String,
) -> Result<Option<Follow>, LowerError> {
    let Some(follow) = follow else { return Ok(None) };
    let listing = r.option(&follow.listing)?.map(|text| located(&text));
    Ok(Some(Follow { range: r.text(&follow.range)?, listing }))
}

/// Renders a path and makes it absolute.
type Located<'a> = &'a dyn Fn(&Option<Text>) -> Result<Option<String>, LowerError>;

fn keys(file: Option<String>) -> ArchiveKeys {
    file.map_or(ArchiveKeys::Distribution, ArchiveKeys::File)
}

fn debian(debian: &Debian, r: &Render<'_>, path: Located<'_>) -> Result<DebianAsk, LowerError> {
    let suite = r.text(&debian.suite)?;
    let main = DebianArchive {
        uri: r.option(&debian.mirror)?,
        suite: suite.clone(),
        components: r.list(&debian.components)?,
        keys: keys(path(&debian.signed_by)?),
    };
    let mut archives = vec![main.clone()];
    if debian.updates.is_some() {
        archives.push(DebianArchive { suite: format!("{suite}-updates"), ..main.clone() });
    }
    if debian.security.is_some() {
        // Debian has an archive of its own for it, which a mirror keeps beside the other.
        let uri = main.uri.as_ref().map(|uri| format!("{}-security", uri.trim_end_matches('/')));
        archives.push(DebianArchive { uri, suite: format!("{suite}-security"), ..main });
    }
    for more in &debian.repositories {
        archives.push(DebianArchive {
            uri: Some(r.text(&more.uri)?),
            suite: r.text(&more.suite)?,
            components: r.list(&more.components)?,
            keys: keys(path(&more.signed_by)?),
        });
    }
    let arch = r.platform.debian().map(str::to_owned).ok_or_else(|| LowerError {
        message: format!("Debian has no architecture for {}", r.platform),
        span: debian.span,
    })?;
    Ok(DebianAsk {
        arch,
        archives,
        variant: match debian.variant {
            Variant::Extract => DebianVariant::Extract,
            Variant::Minbase => DebianVariant::Minbase,
            Variant::Standard => DebianVariant::Standard,
            Variant::Minideb => DebianVariant::Minideb,
        },
        include: r.list(&debian.include)?,
        exclude: r.list(&debian.exclude)?,
        recommends: debian.recommends,
        trim: debian.trim.iter().map(|trim| self::trim(trim.value)).collect(),
    })
}

fn trim(trim: TrimConfig) -> Trim {
    match trim {
        TrimConfig::Docs => Trim::Docs,
        TrimConfig::Locales => Trim::Locales,
    }
}

fn alpine(alpine: &Alpine, r: &Render<'_>, path: Located<'_>) -> Result<AlpineAsk, LowerError> {
    let branch = r.text(&alpine.branch)?;
    let branch = match branch.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("v{branch}"),
        false => branch,
    };
    let mirror = r.option(&alpine.mirror)?;
    let signed_by = keys(path(&alpine.signed_by)?);
    let own = |name: &str, tag: Option<String>, keys: ArchiveKeys| {
        let path = format!("{branch}/{name}");
        let uri = mirror.as_ref().map(|uri| format!("{}/{path}", uri.trim_end_matches('/')));
        AlpineArchive { uri, path, tag, keys }
    };
    let mut archives: Vec<AlpineArchive> =
        ALPINE.iter().map(|name| own(name, None, signed_by.clone())).collect();
    for AlpineRepository { span: _, uri, tag, signed_by: file } in &alpine.repositories {
        let (uri, tag) = (r.text(uri)?, r.option(tag)?);
        let keys = match path(file)? {
            Some(file) => ArchiveKeys::File(file),
            None => signed_by.clone(),
        };
        archives.push(match uri.contains("://") {
            true => AlpineArchive { uri: Some(uri), path: String::new(), tag, keys },
            false => own(&uri, tag, keys),
        });
    }
    let arch = r.platform.alpine().map(str::to_owned).ok_or_else(|| LowerError {
        message: format!("Alpine has no architecture for {}", r.platform),
        span: alpine.span,
    })?;
    Ok(AlpineAsk { arch, archives, world: r.list(&alpine.include)? })
}
