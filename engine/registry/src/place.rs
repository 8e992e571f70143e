//! An image on its way into a repository: what is there, what can be mounted, what has to be sent.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Layout, media_type};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Reference;
use crate::choose::{DEEPEST, ENTRIES, NESTED};
use crate::client::Client;
use crate::error::{ErrorKind, Fault, shown};
use crate::holdings::Kind;
use crate::manifest::{LARGEST, Resolved};
use crate::pull::LAYERS;
use crate::push::Pushed;
use crate::relay::Relay;
use crate::scope::Scope;
use crate::upload::{Cargo, Goal, Session};

/// Manifests that one push holds in memory at once.
const HELD: usize = 8;

/// A push that is under way.
pub(crate) struct Walk {
    client: Client,
    /// The repository alone.
    to: Reference,
    scope: Scope,
    /// Repositories of the same registry that may have blobs of it.
    mounts: Vec<Reference>,
    /// Repositories from which comes what the layout lacks.
    origins: Vec<Reference>,
    layout: Layout,
    /// Blobs that were counted.
    seen: Mutex<HashSet<Digest>>,
    /// Indexes that were read.
    nested: AtomicUsize,
    /// Manifests that are held in memory at once.
    held: Semaphore,
    /// Whether something was taken to be there that was not asked for.
    has_trusted: AtomicBool,
}

/// What came of a wish to mount.
enum Mounted {
    Done,
    /// An upload has begun instead.
    Begun(Session),
    Refused,
}

type Done<'a> = Pin<Box<dyn Future<Output = Result<Pushed, Fault>> + Send + 'a>>;

impl Walk {
    pub fn new(
        client: &Client,
        to: &Reference,
        mounts: Vec<Reference>,
        origins: Vec<Reference>,
        layout: &Layout,
    ) -> Arc<Self> {
        Arc::new(Self {
            client: client.clone(),
            to: to.whole(),
            scope: Scope::writing(to, &mounts),
            mounts,
            origins,
            layout: layout.clone(),
            seen: Mutex::default(),
            nested: AtomicUsize::new(0),
            held: Semaphore::new(HELD),
            has_trusted: AtomicBool::new(false),
        })
    }

    /// Whether something was taken to be there because it was a while ago.
    pub fn has_trusted(&self) -> bool {
        self.has_trusted.load(Ordering::Relaxed)
    }

    fn goal(&self) -> Goal<'_> {
        Goal { reference: &self.to, scope: &self.scope }
    }

    /// Writes a manifest or index by digest, after all that it names.
    pub fn document(self: Arc<Self>, descriptor: Descriptor, depth: usize) -> Done<'static> {
        Box::pin(async move {
            let digest = descriptor.digest;
            if self.has(&self.to, Kind::Manifest, digest).await? {
                return Ok(Pushed::default());
            }
            let is_index = media_type::is_index(&descriptor.media_type);
            // None only for a closed semaphore, and nobody closes one.
            let _held = if is_index { None } else { self.held.acquire().await.ok() };
            let found = self.read(&descriptor).await?;
            if matches!(found.document, Document::Index(_)) != is_index {
                let kind = shown(&descriptor.media_type);
                let why = format!("{digest} is listed as {kind:?}, and it is none");
                return Err(Fault::broken(why));
            }
            let mut pushed = self.clone().children(&found, depth).await?;
            self.client.inner.put_document(self.goal(), &digest.to_string(), &found).await?;
            self.client.inner.holdings.add(&self.to, Kind::Manifest, digest);
            pushed.manifests += 1;
            Ok(pushed)
        })
    }

    /// Brings what a document names, side by side.
    async fn children(self: Arc<Self>, of: &Resolved, depth: usize) -> Result<Pushed, Fault> {
        let is_index = matches!(of.document, Document::Index(_));
        let children = of.document.references();
        let (most, what) = if is_index { (ENTRIES, "entries") } else { (LAYERS + 1, "blobs") };
        if children.len() > most {
            return Err(Fault::broken(format!("{} has more than {most} {what}", of.digest)));
        }
        let nested = self.nested.fetch_add(usize::from(is_index), Ordering::Relaxed);
        if is_index && (depth >= DEEPEST || nested >= NESTED) {
            return Err(Fault::broken("its indexes are nested too deep, or are too many"));
        }
        let mut tasks = JoinSet::new();
        let mut begun = HashSet::new();
        for child in children.into_iter().filter(|child| begun.insert(child.digest)) {
            let (walk, child) = (self.clone(), Descriptor::clone(child));
            let is_document = media_type::is_index(&child.media_type)
                || media_type::is_manifest(&child.media_type);
            if is_index && is_document {
                tasks.spawn(walk.document(child, depth + 1));
            } else {
                tasks.spawn(async move { walk.blob(&child).await });
            }
        }
        let mut pushed = Pushed::default();
        // The first failure ends the others: dropping the set stops them.
        while let Some(done) = tasks.join_next().await {
            pushed.add(&done.map_err(Fault::local).flatten()?);
        }
        Ok(pushed)
    }

    /// Reads a document out of the layout, else from where the image is.
    async fn read(&self, descriptor: &Descriptor) -> Result<Arc<Resolved>, Fault> {
        let digest = descriptor.digest;
        if descriptor.size > LARGEST {
            let why = format!(
                "the manifest {digest} has {} bytes, and registries take no more than {LARGEST}",
                descriptor.size
            );
            return Err(Fault::new(ErrorKind::Unfit, why));
        }
        if self.layout.has(&digest) {
            let bytes = self.layout.read(&digest).map_err(Fault::local)?;
            let found = Resolved::of_bytes(digest, bytes)?;
            return Ok(Arc::new(found));
        }
        for origin in &self.origins {
            if self.has(origin, Kind::Manifest, digest).await? {
                return self.client.inner.known_document(&origin.with_digest(digest)).await;
            }
        }
        Err(self.missing("manifest", digest))
    }

    /// Brings a blob into the repository.
    async fn blob(&self, descriptor: &Descriptor) -> Result<Pushed, Fault> {
        let digest = descriptor.digest;
        let placing = &self.client.inner.holdings.placing;
        let lock = placing.of((self.to.place(), digest));
        let _guard = lock.lock().await;
        let done = self.bring(descriptor).await?;
        self.client.inner.holdings.add(&self.to, Kind::Blob, digest);
        let is_new = self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        Ok(if is_new { done } else { Pushed::default() })
    }

    async fn bring(&self, descriptor: &Descriptor) -> Result<Pushed, Fault> {
        let digest = descriptor.digest;
        let inner = &self.client.inner;
        let knows = |at: &Reference| inner.holdings.known(at, Kind::Blob, digest) == Some(true);
        let there = Pushed { present: 1, ..Pushed::default() };
        let mounted = Pushed { mounted: 1, ..Pushed::default() };
        // Where it is known to be, mounting it takes one request, and a question one more.
        let mut session = None;
        if !knows(&self.to)
            && let Some(from) = self.mounts.iter().find(|from| knows(from))
        {
            match self.mount(digest, from).await? {
                Mounted::Done => return Ok(mounted),
                Mounted::Begun(begun) => session = Some(begun),
                Mounted::Refused => {}
            }
        }
        if self.has(&self.to, Kind::Blob, digest).await? {
            return Ok(there);
        }
        for from in self.mounts.iter().filter(|_| session.is_none()) {
            if !self.has(from, Kind::Blob, digest).await.unwrap_or_default() {
                continue;
            }
            match self.mount(digest, from).await? {
                Mounted::Done => return Ok(mounted),
                Mounted::Begun(begun) => {
                    session = Some(begun);
                    break;
                }
                Mounted::Refused => {}
            }
        }
        self.send(descriptor, session).await
    }

    async fn mount(&self, digest: Digest, from: &Reference) -> Result<Mounted, Fault> {
        use ErrorKind::{Broken, Denied, NotFound, Refused};
        match self.client.inner.mount(self.goal(), digest, from).await {
            Ok(None) => Ok(Mounted::Done),
            Ok(Some(session)) => Ok(Mounted::Begun(session)),
            // A registry that cannot mount may still take the blob.
            Err(fault) if matches!(fault.kind, Broken | Denied | NotFound | Refused) => {
                Ok(Mounted::Refused)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Sends a blob out of the layout, else from where the image is.
    async fn send(
        &self,
        descriptor: &Descriptor,
        session: Option<Session>,
    ) -> Result<Pushed, Fault> {
        let digest = descriptor.digest;
        let inner = &self.client.inner;
        let sent = Pushed { uploaded: 1, bytes: descriptor.size, ..Pushed::default() };
        let is_local = self.layout.has(&digest);
        // Its bytes stay at their own address.
        if !is_local && media_type::is_foreign_layer(&descriptor.media_type) {
            return Ok(Pushed::default());
        }
        if !is_local {
            let origin = self.origin(digest).await?;
            let relay = Arc::new(Relay::new(&self.client, &origin, descriptor));
            let cargo = Cargo::Whole(relay);
            match inner.upload(self.goal(), descriptor, &cargo, session).await {
                Ok(()) => return Ok(sent),
                // Out of a file it can go on after a break.
                Err(fault) if fault.kind == ErrorKind::Unreachable => {
                    inner.blob(&origin, descriptor, &self.layout).await?;
                }
                Err(fault) => return Err(fault),
            }
            return self.send_file(descriptor, None).await.map(|()| sent);
        }
        self.send_file(descriptor, session).await.map(|()| sent)
    }

    async fn send_file(
        &self,
        descriptor: &Descriptor,
        session: Option<Session>,
    ) -> Result<(), Fault> {
        let (_, size) = self.layout.open_blob(&descriptor.digest).map_err(Fault::local)?;
        if size != descriptor.size {
            let path = self.layout.path_of(&descriptor.digest);
            return Err(Fault::local(format!(
                "{} has {size} bytes and should have {}: it is damaged",
                path.display(),
                descriptor.size
            )));
        }
        let cargo = Cargo::File(self.layout.path_of(&descriptor.digest));
        self.client.inner.upload(self.goal(), descriptor, &cargo, session).await
    }

    /// The repository that has a blob which the layout lacks.
    async fn origin(&self, digest: Digest) -> Result<Reference, Fault> {
        for origin in &self.origins {
            if self.has(origin, Kind::Blob, digest).await? {
                return Ok(origin.clone());
            }
        }
        Err(self.missing("blob", digest))
    }

    async fn has(&self, at: &Reference, kind: Kind, digest: Digest) -> Result<bool, Fault> {
        let inner = &self.client.inner;
        if inner.holdings.known(at, kind, digest) == Some(true) {
            self.has_trusted.store(true, Ordering::Relaxed);
            return Ok(true);
        }
        match at.host == self.to.host {
            true => inner.has(at, &self.scope, kind, digest).await,
            false => inner.has(at, &Scope::reading(at), kind, digest).await,
        }
    }

    fn missing(&self, what: &str, digest: Digest) -> Fault {
        let others: Vec<String> = self.origins.iter().map(Reference::place).collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" nor in {}", others.join(", ")),
        };
        let why = format!(
            "its {what} {digest} is neither in the layout {} nor in the repository{others}: build \
             it again, or push the image whose {what} it is first",
            self.layout.root().display()
        );
        Fault::local(why)
    }
}
