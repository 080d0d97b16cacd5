//! Works with files by `wasi:filesystem` of WASI 0.3.

use std::future::poll_fn;
use std::task::Poll;

use crate::Tasks;
use crate::bindings::exports::airssys_tests::tasks::files::Guest;
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use crate::bindings::wit_stream;

type Said<T> = Result<T, String>;

fn said(error: ErrorCode) -> String {
    format!("{error:?}")
}

/// The granted folder that a path begins with, and the rest of the path.
fn folder(path: &str) -> Said<(Descriptor, String)> {
    let mut folders = preopens::get_directories().into_iter();
    let (folder, name) =
        folders.find(|(_, name)| path.starts_with(name.as_str())).ok_or_else(|| format!("no folder for {path}"))?;
    let rest = path.get(name.len()..).unwrap_or_default().trim_start_matches('/');
    Ok((folder, if rest.is_empty() { ".".to_owned() } else { rest.to_owned() }))
}

async fn open(path: &str, open: OpenFlags, with: DescriptorFlags) -> Said<Descriptor> {
    let (folder, rest) = folder(path)?;
    folder.open_at(PathFlags::SYMLINK_FOLLOW, rest, open, with).await.map_err(said)
}

async fn to_write(path: &str) -> Said<Descriptor> {
    open(path, OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE).await
}

async fn read(path: &str, at: u64) -> Said<Vec<u8>> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (bytes, ended) = file.read_via_stream(at);
    let bytes = bytes.collect().await;
    ended.await.map_err(said)?;
    Ok(bytes)
}

fn kind(of: &DescriptorType) -> String {
    format!("{of:?}").trim_start_matches("DescriptorType::").to_owned()
}

/// All of them at the same time, in their order.
async fn together<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    poll_fn(|context| {
        for (one, done) in &mut all {
            if done.is_none()
                && let Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}

impl Guest for Tasks {
    async fn read(path: String, at: u64) -> Said<String> {
        Ok(String::from_utf8_lossy(&read(&path, at).await?).into_owned())
    }

    async fn read_some(path: String, count: u32) -> Said<String> {
        let file = open(&path, OpenFlags::empty(), DescriptorFlags::READ).await?;
        let (mut bytes, ended) = file.read_via_stream(0);
        let (_, some) = bytes.read(Vec::with_capacity(count as usize)).await;
        drop(bytes);
        ended.await.map_err(said)?;
        Ok(String::from_utf8_lossy(&some).into_owned())
    }

    async fn write(path: String, text: String, at: Option<u64>) -> Said<()> {
        let file = to_write(&path).await?;
        let (mut writer, reader) = wit_stream::new();
        let ended = match at {
            Some(at) => file.write_via_stream(reader, at),
            None => file.append_via_stream(reader),
        };
        let left = writer.write_all(text.into_bytes()).await;
        drop(writer);
        ended.await.map_err(said)?;
        if left.is_empty() { Ok(()) } else { Err(format!("{} bytes were not taken", left.len())) }
    }

    async fn fill(path: String, bytes: u64) -> (u64, Said<()>) {
        let file = match to_write(&path).await {
            Ok(file) => file,
            Err(error) => return (0, Err(error)),
        };
        let (mut writer, reader) = wit_stream::new();
        let ended = file.append_via_stream(reader);
        let mut taken = 0;
        while taken < bytes {
            let part = vec![b'x'; usize::try_from((bytes - taken).min(10_000)).unwrap_or_default()];
            let length = part.len();
            let left = writer.write_all(part).await;
            taken += (length - left.len()) as u64;
            if !left.is_empty() {
                break;
            }
        }
        drop(writer);
        (taken, ended.await.map_err(said))
    }

    async fn entries(path: String) -> Said<Vec<String>> {
        let folder = open(&path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await?;
        let (entries, ended) = folder.read_directory();
        let mut entries: Vec<String> =
            entries.collect().await.iter().map(|entry| format!("{} {}", entry.name, kind(&entry.type_))).collect();
        ended.await.map_err(said)?;
        entries.sort();
        Ok(entries)
    }

    async fn make_folder(path: String) -> Said<()> {
        let (folder, rest) = folder(&path)?;
        folder.create_directory_at(rest).await.map_err(said)
    }

    async fn remove(path: String) -> Said<()> {
        let (folder, rest) = folder(&path)?;
        folder.unlink_file_at(rest).await.map_err(said)
    }

    async fn rename(path: String, to: String) -> Said<()> {
        let ((folder, rest), (to, to_rest)) = (crate::files::folder(&path)?, crate::files::folder(&to)?);
        folder.rename_at(rest, &to, to_rest).await.map_err(said)
    }

    async fn link(path: String, to: String) -> Said<()> {
        let ((folder, rest), (to, to_rest)) = (crate::files::folder(&path)?, crate::files::folder(&to)?);
        folder.link_at(PathFlags::empty(), rest, &to, to_rest).await.map_err(said)
    }

    async fn symlink(says: String, path: String) -> Said<()> {
        let (folder, rest) = folder(&path)?;
        folder.symlink_at(says, rest).await.map_err(said)
    }

    async fn set_size(path: String, bytes: u64) -> Said<()> {
        to_write(&path).await?.set_size(bytes).await.map_err(said)
    }

    async fn stat(path: String) -> Said<(String, u64)> {
        let (folder, rest) = folder(&path)?;
        let found = folder.stat_at(PathFlags::empty(), rest).await.map_err(said)?;
        Ok((kind(&found.type_), found.size))
    }

    async fn open_many(path: String, times: u32) -> (u32, Vec<String>) {
        let (folder, rest) = match folder(&path) {
            Ok(found) => found,
            Err(error) => return (0, vec![error]),
        };
        let open = || folder.open_at(PathFlags::empty(), rest.clone(), OpenFlags::empty(), DescriptorFlags::READ);
        let all = together((0..times).map(|_| open()).collect()).await;
        let (opened, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        let opened = u32::try_from(opened.len()).unwrap_or_default();
        (opened, refused.into_iter().filter_map(Result::err).map(said).collect())
    }

    async fn read_all(paths: Vec<String>) -> Said<u64> {
        let all = together(paths.iter().map(|path| read(path, 0)).collect()).await;
        let all = all.into_iter().collect::<Said<Vec<_>>>()?;
        Ok(all.iter().map(|bytes| bytes.len() as u64).sum())
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    async fn begin(path: String, text: String, how: String) {
        let Ok(file) = to_write(&path).await else { return };
        let (mut writer, reader) = wit_stream::new();
        let ended = file.write_via_stream(reader, 0);
        let _left = writer.write_all(text.into_bytes()).await;
        if how == "trap" {
            panic!("it was asked to");
        }
        drop((ended, writer));
    }
}
