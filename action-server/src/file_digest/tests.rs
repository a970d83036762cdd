//! What changes the digest of a file or a tree.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Every edit below changes the digest, and taking it back gives the old one.
#[test]
fn every_edit_of_a_tree_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("helpers");
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("sub/empty")).unwrap();
    fs::write(at("a.sh"), "one").unwrap();
    fs::write(at("sub/b.sh"), "two").unwrap();
    symlink("a.sh", at("link.sh")).unwrap();
    symlink("..", at("sub/loop")).unwrap();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("c.sh"), "three").unwrap();
    symlink("../outside", at("outside")).unwrap();

    let digests = FileDigests::default();
    let digest = || digests.of_trees(std::slice::from_ref(&root)).unwrap();
    let before = digest();
    assert_eq!(digest(), before);
    let write = |path: PathBuf, text: &'static str| move || fs::write(&path, text).unwrap();
    let mode = |path: PathBuf, mode| {
        move || fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap()
    };
    type Edit<'a> = Box<dyn Fn() + 'a>;
    let edits: [(&str, Edit<'_>, Edit<'_>); 7] = [
        (
            "content of the same length",
            Box::new(write(at("a.sh"), "ONE")),
            Box::new(write(at("a.sh"), "one")),
        ),
        (
            "a file below",
            Box::new(write(at("sub/b.sh"), "twox")),
            Box::new(write(at("sub/b.sh"), "two")),
        ),
        (
            "behind a linked directory",
            Box::new(write(outside.join("c.sh"), "3")),
            Box::new(write(outside.join("c.sh"), "three")),
        ),
        (
            "a new file",
            Box::new(write(at("sub/empty/new"), "")),
            Box::new(|| fs::remove_file(at("sub/empty/new")).unwrap()),
        ),
        (
            "a file that is gone",
            Box::new(|| fs::rename(at("a.sh"), at("z.sh")).unwrap()),
            Box::new(|| fs::rename(at("z.sh"), at("a.sh")).unwrap()),
        ),
        (
            "the executable bit",
            Box::new(mode(at("a.sh"), 0o755)),
            Box::new(mode(at("a.sh"), 0o644)),
        ),
        (
            "a link that leads elsewhere",
            Box::new(|| {
                fs::remove_file(at("link.sh")).unwrap();
                symlink("sub/b.sh", at("link.sh")).unwrap();
            }),
            Box::new(|| {
                fs::remove_file(at("link.sh")).unwrap();
                symlink("a.sh", at("link.sh")).unwrap();
            }),
        ),
    ];
    for (name, edit, back) in edits {
        edit();
        assert_ne!(digest(), before, "{name}");
        back();
        assert_eq!(digest(), before, "{name}, taken back");
    }
    fs::create_dir(at("__pycache__")).unwrap();
    fs::write(at("__pycache__/a.pyc"), "compiled").unwrap();
    assert_eq!(digest(), before, "what Python compiles is no edit");
}

#[test]
fn a_remembered_digest_is_that_of_the_content() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "old content").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    let age = || {
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
    };
    age();
    let digests = FileDigests::default();
    let digest = || digests.of_file(File::open(&path).unwrap()).unwrap();
    let first = digest();
    // The same size and modification time again: only the change time tells.
    fs::write(&path, "new content").unwrap();
    age();
    assert_ne!(digest(), first);
}

#[test]
fn what_cannot_be_read_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let digests = FileDigests::default();
    let missing = directory.path().join("missing");
    let digest = |path| digests.of_trees(&[path]).unwrap();
    assert_ne!(digest(fifo), digest(missing));
}

#[test]
fn a_link_to_what_is_too_much_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (root, other) = (directory.path().join("helpers"), directory.path().join("x"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&other).unwrap();
    symlink(&other, root.join("link")).unwrap();
    let digests = FileDigests::default();
    let digest = || digests.of_trees(std::slice::from_ref(&root));
    digest().unwrap();
    // Holes take no space.
    let large = File::create(other.join("large")).unwrap();
    large.set_len(MOST_BYTES + 1).unwrap();
    let error = digest().unwrap_err().to_string();
    assert!(error.ends_with("helpers/link/large"), "{error}");
    large.set_len(0).unwrap();
    digest().unwrap();
    // Each level twice: few files, and many ways to them.
    let mut at = other;
    for _ in 0..15 {
        let next = at.join("a");
        fs::create_dir(&next).unwrap();
        symlink("a", at.join("b")).unwrap();
        at = next;
    }
    assert!(digest().is_err());
}
