//! Cache mounts: folders that stay in the store from build to build, one for each name and
//! platform, as the id map sees them.

use std::path::{Path, PathBuf};

use super::inner::CacheRequest;
use super::trees::id_mode;
use super::{Native, Stop};
use crate::exec::{Fault, Knobs};
use crate::key::{Value, hash_fields};
use crate::spec::Sharing;
use crate::store::Guard;

/// Copies of a cache that are in use at once, at most.
const MOST: usize = 256;

/// Which cache is wanted.
pub(super) struct CacheAsk<'a> {
    pub id: &'a str,
    pub platform: &'a str,
    pub sharing: Sharing,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Trees and a path in them whose files it begins with.
    pub seed: Option<(Vec<PathBuf>, PathBuf)>,
}

impl CacheAsk<'_> {
    /// Its name in the store. What it begins with is part of it: another beginning is another
    /// cache.
    fn name(&self) -> String {
        let mut fields =
            vec![("id", Value::Text(self.id)), ("platform", Value::Text(self.platform))];
        let trees = self.seed.iter().flat_map(|(trees, _)| trees).filter_map(|t| t.file_name());
        let trees: Vec<String> = trees.map(|name| name.to_string_lossy().into_owned()).collect();
        fields.extend(trees.iter().map(|tree| ("tree", Value::Text(tree))));
        let path = self.seed.as_ref().map(|(_, path)| path.to_string_lossy().into_owned());
        fields.extend(path.iter().map(|path| ("path", Value::Text(path))));
        hash_fields("cache", &fields).hex()
    }
}

/// A cache that is held for a step.
pub(super) struct Cache {
    path: PathBuf,
    _guard: Option<Guard>,
}

impl Cache {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Native {
    /// Takes a cache; waits for it where it is locked.
    pub(super) fn cache(&self, ask: &CacheAsk<'_>, knobs: &Knobs) -> Result<Cache, Stop> {
        let failed = |e: &dyn std::fmt::Display| {
            Fault::environment(format!("cannot use the cache `{}`: {e}", ask.id))
        };
        let (name, mode) = (ask.name(), id_mode(self.id_map()?));
        let folder = |number: usize| self.store.cache_path(&mode, &format!("{name}-{number}"));
        let lock = |number: usize| format!("cache-{mode}-{name}-{number}");
        let (number, guard) = match ask.sharing {
            Sharing::Shared => (0, None),
            Sharing::Locked => (0, Some(self.store.lock(&lock(0)).map_err(|e| failed(&e))?)),
            Sharing::Private => {
                let free = (0..MOST).find_map(|number| {
                    Some((number, self.store.try_lock(&lock(number)).ok().flatten()?))
                });
                let (number, guard) = free.ok_or_else(|| failed(&"all copies are in use"))?;
                (number, Some(guard))
            }
        };
        let path = folder(number);
        if !path.join("done").exists() {
            let making = self.store.lock(&format!("make-{}", lock(number)));
            let _making = making.map_err(|e| failed(&e))?;
            if !path.join("done").exists() {
                std::fs::create_dir_all(&path).map_err(|e| failed(&e))?;
                let request = CacheRequest {
                    path: path.clone(),
                    mode: ask.mode,
                    owner: ask.owner,
                    seed: ask.seed.clone(),
                    copy: self.copies(),
                };
                self.call("cache", &request, knobs, None).map(|_: serde_json::Value| ())?;
            }
        }
        // The store goes by this when it looks for what nobody has used for long.
        std::fs::write(path.join("done"), "").map_err(|e| failed(&e))?;
        Ok(Cache { path: path.join("fs"), _guard: guard })
    }
}

#[cfg(test)]
mod tests {
    use mabuild_sandbox::IdMap;

    use super::*;
    use crate::exec::native::testing::World;

    fn ask(id: &str, sharing: Sharing) -> CacheAsk<'_> {
        CacheAsk { id, platform: "linux/amd64", sharing, mode: 0o755, owner: (0, 0), seed: None }
    }

    /// A world in which caches are there already, since no helper can make them.
    fn world() -> World {
        let mut world = World::new();
        world.native.host.id_map = Some(IdMap::Single);
        for number in 0..3 {
            let name = ask("npm", Sharing::Shared).name();
            let path = world.store.cache_path("single", &format!("{name}-{number}"));
            std::fs::create_dir_all(path.join("fs")).unwrap();
            std::fs::write(path.join("done"), "").unwrap();
        }
        world
    }

    fn take(world: &World, sharing: Sharing) -> Cache {
        match world.native.cache(&ask("npm", sharing), &world.knobs()) {
            Ok(cache) => cache,
            Err(_) => panic!("there is no cache"),
        }
    }

    #[test]
    fn a_shared_cache_is_one_folder_for_all() {
        let world = world();
        let (one, two) = (take(&world, Sharing::Shared), take(&world, Sharing::Shared));
        assert_eq!(one.path(), two.path());
    }

    #[test]
    fn a_private_cache_is_another_folder_for_each() {
        let world = world();
        let (one, two) = (take(&world, Sharing::Private), take(&world, Sharing::Private));
        assert_ne!(one.path(), two.path());
        let first = one.path().to_owned();
        drop(one);
        assert_eq!(take(&world, Sharing::Private).path(), first);
        // It begins with what those that share it have.
        assert_eq!(take(&world, Sharing::Shared).path(), first);
    }

    #[test]
    fn a_locked_cache_is_waited_for() {
        let world = world();
        let one = take(&world, Sharing::Locked);
        let path = one.path().to_owned();
        let name = ask("npm", Sharing::Locked).name();
        let lock = format!("cache-single-{name}-0");
        assert!(world.store.try_lock(&lock).unwrap().is_none());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let two = take(&world, Sharing::Locked);
                sender.send(two.path().to_owned()).unwrap();
            });
            let early = receiver.recv_timeout(std::time::Duration::from_millis(100));
            assert!(early.is_err(), "nobody waited");
            drop(one);
            assert_eq!(receiver.recv().unwrap(), path);
        });
    }

    #[test]
    fn caches_go_by_name_platform_and_beginning() {
        let seeded = |tree: &str, path: &str| {
            let seed = Some((vec![PathBuf::from(tree)], PathBuf::from(path)));
            CacheAsk { seed, ..ask("a", Sharing::Shared) }.name()
        };
        assert_eq!(seeded("/one/x", "p"), seeded("/two/x", "p"));
        assert_ne!(seeded("/one/x", "p"), seeded("/one/y", "p"));
        assert_ne!(seeded("/one/x", "p"), seeded("/one/x", "q"));
        assert_ne!(seeded("/one/x", "p"), ask("a", Sharing::Shared).name());
        let name =
            |id: &str, platform: &str| CacheAsk { platform, ..ask(id, Sharing::Shared) }.name();
        assert_eq!(name("a", "linux/amd64"), name("a", "linux/amd64"));
        assert_ne!(name("a", "linux/amd64"), name("b", "linux/amd64"));
        assert_ne!(name("a", "linux/amd64"), name("a", "linux/arm64"));
    }
}
