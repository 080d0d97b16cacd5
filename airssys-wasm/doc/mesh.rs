// What the examples in the documentation stand on: a folder with a guest that answers with what it is told, and a mesh
// in it.

/// A folder with `echo.wasm` in it, which is removed when this is dropped.
#[allow(dead_code)]
pub fn folder() -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    std::fs::write(folder.path().join("echo.wasm"), echo)?;
    Ok(folder)
}

/// A mesh whose only service is `echo`, which has these keys as well.
#[allow(dead_code)]
async fn echo(keys: &str) -> Result<(airssys_wasm::Runtime, tempfile::TempDir), Box<dyn std::error::Error>> {
    let folder = folder()?;
    let text = format!("name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n{keys}\n");
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
