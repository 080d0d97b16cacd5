//! What the files and folders are called that a guest has open: the path of what was opened, as the guest knows it, the
//! granted folder first. Layers are asked about them by these names, and denials name them.
//!
//! With them stand the rights in the granted folder: those of what is open are those of the folder it was opened in.
//!
//! The names that a guest opens something by are taken as they stand, without `.` and `..`. What is open then is known
//! by its own path, where a layer has to do with files: a link to it does not hide it. It is asked about by that path
//! too, before the guest has it and before it is emptied.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;

use crate::capability::{Access, FolderRights};

/// By their numbers in the guest's table.
#[derive(Debug, Default)]
pub(in crate::engine) struct FileNames {
    all: HashMap<u32, Named>,
    /// The right for want of which something is not permitted that is about to be told so, and in which folder.
    pub(super) lacking: Option<(u32, Access)>,
}

#[derive(Debug)]
struct Named {
    name: Arc<str>,
    /// Those in the granted folder that it lies in.
    rights: Option<Arc<FolderRights>>,
}

impl FileNames {
    /// A granted folder.
    pub(in crate::engine) fn granted(&mut self, folder: &Resource<Descriptor>, name: &str, rights: FolderRights) {
        self.all.insert(folder.rep(), Named { name: joined("", name).into(), rights: Some(Arc::new(rights)) });
    }

    /// Something that was opened in a folder.
    pub(in crate::engine) fn opened(&mut self, at: u32, open: &Resource<Descriptor>, name: Arc<str>) {
        let rights = self.rights(at).cloned();
        self.all.insert(open.rep(), Named { name, rights });
    }

    /// What may be done with it.
    pub(in crate::engine) fn rights(&self, open: u32) -> Option<&Arc<FolderRights>> {
        self.all.get(&open)?.rights.as_ref()
    }

    pub(in crate::engine) fn forget(&mut self, of: &Resource<Descriptor>) {
        self.all.remove(&of.rep());
    }

    pub(in crate::engine) fn of(&self, open: u32) -> Arc<str> {
        self.all.get(&open).map(|open| Arc::clone(&open.name)).unwrap_or_default()
    }
}

/// The path in a folder, without empty parts, `.` and `..`: with none of them there is one spelling of each.
pub(in crate::engine) fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut name = folder.trim_end_matches('/').to_owned();
    for part in parts {
        name.push('/');
        name.push_str(part);
    }
    if name.is_empty() { "/".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn each_path_has_one_spelling() {
        for (folder, path, name) in [
            ("/data", "a/b", "/data/a/b"),
            ("/data", "./a//b/", "/data/a/b"),
            ("/data", "a/../b", "/data/b"),
            ("/data", "../secret", "/data/secret"),
            ("/data", ".", "/data"),
            ("/", "a", "/a"),
            ("", "/data", "/data"),
            ("", ".", "/"),
            ("", "data/", "/data"),
        ] {
            assert_eq!(joined(folder, path), name, "{folder} {path}");
            assert_eq!(joined("", name), name, "it is its own spelling");
        }
    }
}
