//! The documents with commands in them: each is typed as it stands, and must print what it says.

use action_tests::document::follow;

#[test]
fn the_tutorial() {
    follow("docs/tutorial.md");
}
