// What the examples in the documentation stand on: a folder with a guest that answers with what it is told and one that
// adds numbers, and a mesh in it.

/// A folder with `echo.wasm` and `adder.wasm` in it, which is removed when this is dropped.
#[allow(dead_code)]
pub fn folder() -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let texts = concat!(env!("CARGO_MANIFEST_DIR"), "/doc");
    for guest in ["echo", "adder"] {
        std::fs::write(
            folder.path().join(guest).with_extension("wasm"),
            wat::parse_file(format!("{texts}/{guest}.wat"))?,
        )?;
    }
    Ok(folder)
}

/// A mesh whose only service is `echo`, which has these keys as well.
#[allow(dead_code)]
async fn echo(keys: &str) -> Result<(airssys_wasm::Runtime, tempfile::TempDir), Box<dyn std::error::Error>> {
    serving("echo", keys).await
}

/// A mesh whose only service is called as its guest, and has these keys as well.
#[allow(dead_code)]
async fn serving(
    guest: &str,
    keys: &str,
) -> Result<(airssys_wasm::Runtime, tempfile::TempDir), Box<dyn std::error::Error>> {
    let folder = folder()?;
    let text = format!("name = \"example\"\n[[service]]\nname = \"{guest}\"\nrelease = \"{guest}.wasm\"\n{keys}\n");
    let topology = airssys_wasm::topology::Topology::parse(text, folder.path())?;
    Ok((airssys_wasm::Runtime::builder().start(&topology).await?, folder))
}

/// Runs an example on such a mesh, and in its folder.
#[allow(dead_code)]
pub fn mesh(
    keys: &str,
    example: impl AsyncFnOnce(&airssys_wasm::Runtime, &std::path::Path) -> Result<(), Box<dyn std::error::Error>>,
) {
    let host = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    host.block_on(async {
        let (runtime, folder) = echo(keys).await.unwrap();
        example(&runtime, folder.path()).await.unwrap();
        runtime.shutdown().await;
    });
}

/// Runs an example on a mesh whose only service is `adder`: it exports `add: func(a: u32, b: u32) -> u32`, and nothing
/// else.
#[allow(dead_code)]
pub fn adder(example: impl AsyncFnOnce(&airssys_wasm::Runtime) -> Result<(), Box<dyn std::error::Error>>) {
    let host = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    host.block_on(async {
        let (runtime, _folder) = serving("adder", "").await.unwrap();
        example(&runtime).await.unwrap();
        runtime.shutdown().await;
    });
}

/// Runs an example on a mesh whose only service is `tools`, which asks for `sh` and is granted it.
#[allow(dead_code)]
pub fn tools(example: impl AsyncFnOnce(&airssys_wasm::Runtime) -> Result<(), Box<dyn std::error::Error>>) {
    let host = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    host.block_on(async {
        let folder = folder().unwrap();
        std::fs::rename(folder.path().join("echo.wasm"), folder.path().join("tools.wasm")).unwrap();
        let description = "name = \"tools\"\nversion = \"1.0.0\"\n[requests]\nprocesses = [\"sh\"]\n";
        std::fs::write(folder.path().join("tools.toml"), description).unwrap();
        let text = "name = \"example\"\n[[service]]\nname = \"tools\"\nrelease = \"tools.wasm\"\n\
            [service.grants.processes]\nsh = { program = \"/bin/sh\", arguments = [\"-c\", \"*\"] }\n";
        let topology = airssys_wasm::topology::Topology::parse(text.to_owned(), folder.path()).unwrap();
        let runtime = airssys_wasm::Runtime::builder().start(&topology).await.unwrap();
        example(&runtime).await.unwrap();
        runtime.shutdown().await;
    });
}
