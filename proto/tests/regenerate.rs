//! The committed code is what the .proto generates. `UPDATE=1` rewrites it.

use std::{env, fs, path::Path};

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/generated");
    let fresh = tempfile::tempdir().unwrap();
    generate(root, fresh.path());

    for name in ["action.v1.rs", "action.v1.bin"] {
        let new = fs::read(fresh.path().join(name)).unwrap();
        let old = fs::read(committed.join(name)).unwrap_or_default();
        if new != old && env::var_os("UPDATE").is_some() {
            fs::write(committed.join(name), &new).unwrap();
            continue;
        }
        assert!(
            new == old,
            "{name} is not what action.proto generates; run: UPDATE=1 cargo test -p action-proto"
        );
    }
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn generate(root: &Path, out: &Path) {
    let descriptors = protox::compile(["action/v1/action.proto"], [root]).unwrap();
    tonic_prost_build::configure()
        .bytes(".action.v1.NodeOutput.data")
        .out_dir(out)
        .compile_fds(descriptors.clone())
        .unwrap();
    let bytes = prost::Message::encode_to_vec(&descriptors);
    fs::write(out.join("action.v1.bin"), bytes).unwrap();
}
