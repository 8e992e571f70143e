//! Blobs from one registry straight into another, checked on the way.

use bytes::Bytes;
use mabuild_oci::Descriptor;
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use tokio::sync::mpsc::Sender;

use crate::Reference;
use crate::blob::start_of;
use crate::body::{Feed, Piece};
use crate::client::Client;
use crate::error::{Fault, Trouble};

/// A blob of another repository.
pub(crate) struct Relay {
    client: Client,
    from: Reference,
    descriptor: Descriptor,
}

impl Relay {
    pub fn new(client: &Client, from: &Reference, descriptor: &Descriptor) -> Self {
        Self { client: client.clone(), from: from.clone(), descriptor: descriptor.clone() }
    }
}

impl Feed for Relay {
    fn length(&self) -> u64 {
        self.descriptor.size
    }

    fn pour(&self, into: Sender<Piece>) {
        let (client, from) = (self.client.clone(), self.from.clone());
        let descriptor = self.descriptor.clone();
        tokio::spawn(async move {
            if let Err(fault) = relay(&client, &from, &descriptor, &into).await {
                // Whoever would hear of it has ended already.
                let _unheard = into.send(Err(fault)).await;
            }
        });
    }
}

/// What came so far.
struct Passed {
    hasher: mabuild_oci::digest::Hasher,
    size: u64,
    /// What is not handed over before the whole is known to be right.
    held: Bytes,
}

/// Hands over a blob, and goes on where the connection to its registry breaks. The last piece is
/// held back until the digest is known: what is damaged never becomes whole at the other end.
async fn relay(
    client: &Client,
    from: &Reference,
    descriptor: &Descriptor,
    into: &Sender<Piece>,
) -> Result<(), Fault> {
    let digest = descriptor.digest;
    let mut passed = Passed { hasher: digest.hasher(), size: 0, held: Bytes::new() };
    let mut tries = client.inner.tries(false);
    loop {
        let before = passed.size;
        match go_on(client, from, descriptor, (&mut passed, into)).await {
            Ok(()) => break,
            Err(trouble) => {
                if passed.size > before {
                    tries.progress();
                }
                trouble.retry(&mut tries).await?;
            }
        }
    }
    let actual = passed.hasher.finish();
    if actual != digest {
        let why = format!(
            "{} sends {actual} for its blob {digest}: it is damaged there or was exchanged on the \
             way",
            from.host
        );
        return Err(Fault::broken(why));
    }
    let _gone = into.send(Ok(passed.held)).await;
    Ok(())
}

/// One request for what is missing.
async fn go_on(
    client: &Client,
    from: &Reference,
    descriptor: &Descriptor,
    (passed, into): (&mut Passed, &Sender<Piece>),
) -> Result<(), Trouble> {
    let inner = &client.inner;
    let mut ask = inner.ask(Method::GET, from, "blobs", &descriptor.digest.to_string())?;
    if passed.size == descriptor.size && passed.size > 0 {
        return Ok(());
    }
    if passed.size > 0
        && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", passed.size))
    {
        ask.headers.insert(RANGE, range);
    }
    let mut response = inner.send(&ask).await?;
    let is_rest = response.status() == StatusCode::PARTIAL_CONTENT
        && start_of(&response) == Some(passed.size);
    if !is_rest && (passed.size > 0 || response.status() != StatusCode::OK) {
        // What was handed over cannot be taken back; the whole has to begin again.
        let why = format!("{} does not go on with a blob after a break", from.host);
        return Err(Fault::new(crate::ErrorKind::Unreachable, why).into());
    }
    while let Some(chunk) = inner.chunk(&mut response).await? {
        passed.size += chunk.len() as u64;
        if passed.size > descriptor.size {
            let why =
                format!("its blob {} has more than {} bytes", descriptor.digest, descriptor.size);
            return Err(Fault::broken(why).into());
        }
        passed.hasher.update(&chunk);
        let ready = std::mem::replace(&mut passed.held, chunk.into());
        if !ready.is_empty() && into.send(Ok(ready)).await.is_err() {
            return Err(Fault::local("the other registry does not take the blob").into());
        }
    }
    match passed.size == descriptor.size {
        true => Ok(()),
        false => Err(Trouble::again("the connection ended before the blob did")),
    }
}
