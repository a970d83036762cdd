#!/bin/bash
# A release, in a clone and without its build.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

part_release() {
  local clone=$work/clone before
  git clone --quiet "$project" "$clone" && cp -R "$project"/{packaging,CHANGELOG.md} "$clone/" || exit 1
  cd "$clone" || exit 1
  export GIT_AUTHOR_NAME=ann GIT_AUTHOR_EMAIL=ann@localhost GIT_COMMITTER_NAME=ann GIT_COMMITTER_EMAIL=ann@localhost
  git add --all && git commit --quiet --allow-empty --message "what is not committed yet"
  machine=()
  before=$(git rev-parse HEAD)
  release_of() { out=$(packaging/release "$@" 2>"$work/err"); code=$? err=$(<"$work/err"); }

  release_of --dry-run 99.0.0
  check "a dry run shows the commit" has "$out" '+version = "99.0.0"'
  check "and leaves nothing" same "$(git rev-parse HEAD) $(git status --porcelain) $(git worktree list | wc -l)" "$before  1"
  for version in "" 99 v99.0.0 99.0.0.0; do
    release_of --no-build "$version"
    check "'$version' is no version" same "$code" 64
  done
  release_of --no-build 0.0.1
  check "an older one is refused" has "$err" "0.0.1 is older"
  echo >>README.md
  release_of --no-build 99.0.0
  check "so are changes that are not committed" has "$err" "not committed"
  git checkout --quiet README.md

  release_of --no-build 99.0.0
  check "a release is made" same "$code $(git rev-parse HEAD~1)" "0 $before"
  check "and tagged" same "$(git rev-parse 'v99.0.0^{commit}')" "$(git rev-parse HEAD)"
  check "the work tree is that of the release" same "$(git status --porcelain)" ""
  check "with the version in its places" same "$(git show --format= --name-only)" "$(lines CHANGELOG.md Cargo.lock Cargo.toml)"
  check "the lock is current" same "$(cargo tree --offline --locked --package action-server --edges no-dev --depth 0 | cut -d' ' -f2)" v99.0.0
  check "all crates of ours have it" same "$(cargo metadata --offline --locked --format-version 1 --no-deps | jq -r '.packages[].version' | sort -u)" 99.0.0
  check "the changelog is of the version, with its date" grep -q "^## \[99.0.0\] - $(date -u +%Y)-" CHANGELOG.md
  release_of --no-build 99.0.0
  check "the same once more is refused" has "$err" "a tag v99.0.0"
  release_of --no-build 99.0.1
  check "as is one without a word in the changelog" has "$err" "nothing under [Unreleased]"
  cd "$project" || exit 1
}
