//! What is requested and what is granted, as both are written.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::access::{Access, RightMarks};
use super::bind::BindAddress;
use super::given::{Given, Mark, in_force};
use super::http::HttpPattern;
use super::pattern::Pattern;
use super::process::ProcessGrant;
use super::socket::SocketAddress;
use super::tally::Tallied;
use super::topics::Topics;
use crate::limits::FOLDER_BYTES;
use crate::quota::Folder;
use crate::typed::FunctionType;

/// A folder of the host, as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileGrant {
    /// The host's folder.
    pub(crate) host: PathBuf,
    /// What may be done with it; by default to read and to list.
    pub(crate) access: Access,
    /// What may be in it for a guest to write more, in bytes; default 1 GiB. Each file, folder and link counts 4 KiB
    /// and its size.
    pub(crate) max_bytes: u64,
    /// The folder itself, once a mesh has opened it. What is compared is what was written: it is equal to any other.
    pub(crate) held: FolderHandle,
    /// Until when it is granted; none for good.
    pub(crate) until: Option<SystemTime>,
    /// What became of it.
    pub(crate) mark: Mark,
    /// What became of each right.
    pub(crate) rights: RightMarks,
}

impl FileGrant {
    /// A folder that is not opened yet, with the default bound.
    #[must_use]
    pub(crate) fn new(host: impl Into<PathBuf>, access: Access) -> Self {
        Self {
            host: host.into(),
            access,
            max_bytes: FOLDER_BYTES,
            held: FolderHandle::default(),
            until: None,
            mark: Mark::default(),
            rights: RightMarks::default(),
        }
    }

    /// The same of another service: what is taken away from this one stays there.
    #[must_use]
    pub(super) fn anew(&self) -> Self {
        Self { mark: Mark::default(), rights: RightMarks::default(), ..self.clone() }
    }

    /// What may be done with it now.
    pub(crate) fn now(&self) -> Access {
        if self.mark.is_revoked() { Access::NONE } else { self.access - self.rights.revoked() }
    }

    /// The mark of what lets this be done, of who asks for so much; none where it may not be. To look at something
    /// needs any right.
    pub(super) fn by(&self, right: Access, wanted: Access) -> Option<&Mark> {
        let may = self.now() & wanted;
        let by = if right.is_empty() { may.each().next()? } else { right };
        self.rights.of(by).filter(|_| may.contains(by))
    }
}

/// A handle of a folder. From its opening on it is that folder, whatever is at its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct FolderHandle(pub(crate) Option<Arc<Folder>>);

impl FolderHandle {
    /// A path that leads to the folder and to no other, for as long as it is held; none where it was never opened.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| format!("/proc/self/fd/{}", folder.handle.as_raw_fd()).into())
    }
}

impl PartialEq for FolderHandle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FolderHandle {}

/// What a release asks for.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # std::fs::write(folder.join("cart.wasm"), wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?)?;
/// let text = "name = \"cart\"\nversion = \"1.0.0\"\n[requests]\ncall = [\"pricing\"]\n";
/// std::fs::write(folder.join("cart.toml"), text)?;
/// let requests = Release::find(&folder.join("cart.wasm"))?.inspect()?.requests;
/// let call = requests.by_key().into_iter().find(|(key, _)| *key == "call");
/// assert_eq!(call, Some(("call", vec!["pricing".to_owned()])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// Addresses it sends to.
    pub(crate) send: Vec<Pattern>,
    /// Addresses it calls.
    pub(crate) call: Vec<Pattern>,
    /// Topics it publishes on.
    pub(crate) publish: Vec<Pattern>,
    /// Topics it subscribes to.
    pub(crate) subscribe: Vec<Topics>,
    /// Addresses under which it spawns children. Where it is empty, the interface is not linked.
    pub(crate) spawn: Vec<Pattern>,
    /// Folders, by the path that the guest sees.
    pub(crate) files: BTreeMap<String, Access>,
    /// Environment variables.
    pub(crate) environment: Vec<String>,
    /// Socket addresses it connects to by TCP and exchanges datagrams with by UDP.
    pub(crate) sockets: Vec<SocketAddress>,
    /// Addresses of this machine at which it binds sockets, and listens.
    pub(crate) bind: Vec<BindAddress>,
    /// HTTP requests it makes.
    pub(crate) http: Vec<HttpPattern>,
    /// Programs that it starts, by their names. Where it is empty, the interface is not linked.
    pub(crate) processes: Vec<String>,
}

impl Requests {
    /// What is asked for, by the key of `[requests]` that it stands under.
    #[must_use]
    pub fn by_key(&self) -> Vec<(&'static str, Vec<String>)> {
        fn texts<T: ToString>(all: &[T]) -> Vec<String> {
            all.iter().map(T::to_string).collect()
        }
        let files = self.files.iter().map(|(path, access)| match *access {
            Access::VIEW => path.clone(),
            Access::ALL => format!("{path} (to write)"),
            some => format!("{path} ({some})"),
        });
        vec![
            ("send", texts(&self.send)),
            ("call", texts(&self.call)),
            ("publish", texts(&self.publish)),
            ("subscribe", texts(&self.subscribe)),
            ("spawn", texts(&self.spawn)),
            ("files", files.collect()),
            ("environment", self.environment.clone()),
            ("sockets", texts(&self.sockets)),
            ("bind", texts(&self.bind)),
            ("http", texts(&self.http)),
            ("processes", self.processes.clone()),
        ]
    }
}

/// What the operator gives to a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Addresses it may send to.
    pub(crate) send: Vec<Given<Pattern>>,
    /// Addresses it may call.
    pub(crate) call: Vec<Given<Pattern>>,
    /// Topics it may publish on.
    pub(crate) publish: Vec<Given<Pattern>>,
    /// Topics it may subscribe to.
    pub(crate) subscribe: Vec<Given<Topics>>,
    /// Addresses under which it may spawn children, and stop, watch and link them.
    pub(crate) spawn: Vec<Given<Pattern>>,
    /// Folders, by the path that the guest sees.
    pub(crate) files: BTreeMap<String, FileGrant>,
    /// Environment variables with their values.
    pub(crate) environment: BTreeMap<String, Given<String>>,
    /// Socket addresses it may connect to by TCP and exchange datagrams with by UDP.
    pub(crate) sockets: Vec<Given<SocketAddress>>,
    /// Addresses of this machine at which it may bind sockets, and listen.
    pub(crate) bind: Vec<Given<BindAddress>>,
    /// HTTP requests it may make.
    pub(crate) http: Vec<Given<HttpPattern>>,
    /// Programs that it may start, by their names.
    pub(crate) processes: BTreeMap<String, ProcessGrant>,
    /// What the service does, where that is counted and nothing is denied to it.
    pub(crate) tally: Tallied,
}

impl Grants {
    /// Whether a wire to a service may make itself for this function: the service may be called, or this part of it:
    /// `pricing`, `pricing#quote`, `pricing#acme:shop/pricing`, `pricing#acme:shop/pricing#quote`. Where nothing is
    /// denied, it may.
    pub(crate) fn allow_function(&self, service: &str, function: &FunctionType) -> bool {
        self.tally.is_counted() || in_force(&self.call).any(|grant| gives_function(grant, service, function))
    }
}

/// Whether a grant to call gives this function of a service.
pub(super) fn gives_function(grant: &Pattern, service: &str, function: &FunctionType) -> bool {
    match grant.as_str().split_once('#') {
        Some((of, part)) => of == service && gives_part(part, function),
        None => grant.matches(service),
    }
}

/// Whether what stands behind the `#` of such a grant is this function, or the interface that has it.
pub(super) fn gives_part(part: &str, function: &FunctionType) -> bool {
    function.is_called(part) || function.is_of(part)
}
