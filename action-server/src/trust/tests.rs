//! Whose files are trusted, and who can read them.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::{
    readers::{OTHERS_ENTER, is_closed_in},
    *,
};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_and_all_above_it_count() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("file");
    fs::write(&file, "").unwrap();
    let check = |path: &Path| Trust::Strict.check(path).map_err(|error| error.to_string());
    assert_eq!(check(&file), Ok(()));
    mode(&file, 0o646);
    assert!(check(&file).unwrap_err().contains("chmod go-w"));
    assert!(Trust::Lax.check(&file).is_ok());
    mode(&file, 0o644);
    mode(&inner, 0o777);
    assert!(
        check(&file)
            .unwrap_err()
            .contains("inner can be written by others")
    );
    mode(&inner, 0o1777);
    assert_eq!(check(&file), Ok(()));
    mode(&inner, 0o755);
    let link = directory.path().join("link");
    symlink(&file, &link).unwrap();
    assert_eq!(check(&link), Ok(()));
    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    mode(&open, 0o757);
    symlink(&file, open.join("link")).unwrap();
    assert!(
        check(&open.join("link")).is_err(),
        "a link that others can change"
    );
    // A link in between, where others can change it; and one in the middle of a way.
    symlink(&file, open.join("between")).unwrap();
    let chain = directory.path().join("chain");
    symlink(open.join("between"), &chain).unwrap();
    assert!(check(&chain).unwrap_err().contains("open can be written"));
    symlink(&inner, open.join("middle")).unwrap();
    let middle = directory.path().join("middle");
    symlink(open.join("middle").join("file"), &middle).unwrap();
    assert!(check(&middle).unwrap_err().contains("open can be written"));
    mode(&open, 0o755);
    assert_eq!((check(&chain), check(&middle)), (Ok(()), Ok(())));
    symlink("around", directory.path().join("around")).unwrap();
    assert!(check(&directory.path().join("around")).is_err());
    mode(&file, 0o606);
    assert!(
        check(&link).is_err(),
        "a link is as good as what it leads to"
    );
    assert!(matches!(
        Trust::Strict.check(&inner.join("none")),
        Err(TrustError::Unreadable { .. })
    ));
}

#[test]
fn what_others_can_read_is_told_from_what_they_cannot_reach() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let link = directory.path().join("link");
    symlink(&file, &link).unwrap();
    // Some people's temporary files are in a directory that is theirs alone.
    let mut above = directory.path().ancestors().skip(1);
    let is_reached = above.all(|it| fs::metadata(it).unwrap().mode() & OTHERS_ENTER != 0);
    for (above, own, can) in [
        (0o755, 0o644, true),
        (0o711, 0o604, true),
        (0o755, 0o640, false),
        (0o750, 0o644, false),
    ] {
        mode(directory.path(), above);
        mode(&file, own);
        assert_eq!(
            others_can_read(&file),
            can && is_reached,
            "{above:o} {own:o}"
        );
        assert_eq!(
            others_can_read(&link),
            can && is_reached,
            "{above:o} {own:o}, by a link"
        );
    }
    assert!(!others_can_read(&directory.path().join("none")));
}

/// The access list of a credential: its owner and user 12345 may read it, and nobody else. The
/// file's mode is 0440 with it. acl(5); the format is that of linux/posix_acl_xattr.h.
fn let_one_user_read(path: &Path) -> bool {
    const NOBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (1, 4, NOBODY),
        (2, 4, 12345),
        (4, 0, NOBODY),
        (16, 4, NOBODY),
        (32, 0, NOBODY),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, user) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(user.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "system.posix_acl_access", &list, flags).is_ok()
}

#[test]
fn a_credential_may_have_a_list_of_readers_and_no_other_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwt_secret");
    fs::write(&file, "").unwrap();
    let closed = |credentials: Option<&Path>| {
        is_closed_in(credentials, &file, &fs::metadata(&file).unwrap())
    };
    let here = Some(directory.path());
    for (bits, expected) in [(0o400, true), (0o600, true), (0o440, false), (0o404, false)] {
        mode(&file, bits);
        assert_eq!(
            (closed(here), closed(None)),
            (expected, expected),
            "{bits:o}"
        );
    }
    mode(&file, 0o400);
    let is_root = rustix::process::geteuid().is_root();
    // Where the file system has no such lists systemd gives the file to the user instead.
    if is_root && let_one_user_read(&file) {
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o440);
        assert!(closed(here));
        assert!(!closed(None) && !closed(Some(Path::new("/run/credentials/other"))));
    }
}

#[test]
fn another_owner_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // Only root can give a file away; for others there is nothing to try.
    if chown(&file, Some(12345), None).is_ok() {
        assert!(matches!(
            Trust::Strict.check(&file),
            Err(TrustError::Owner { owner: 12345, .. })
        ));
    }
}
