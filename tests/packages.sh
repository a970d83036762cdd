#!/bin/bash
# Tests the packages on a Debian of their own: builds them, then installs, uses, upgrades and removes deb and rpm in a chroot,
# and both once more on a booted systemd, with runs going on. Also the image, as buildah makes it, and packaging/release.
# Usage, as root: tests/packages.sh SERVER CLIENT [PART]..
#   SERVER and CLIENT are the two programs. PART is release, deb, rpm, systemd or container.
# shellcheck disable=SC2016  # what others expand
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")

# images WORD..: buildah, with images of its own
images() { buildah --storage-driver vfs --root "$work/containers" --runroot "$work/containers-run" "$@"; }

# ---- outside: what needs the network, and the packages

if [[ ${1-} != --inside ]]; then
  server=$(realpath -e "$1") client=$(realpath -e "$2") || exit 64
  shift 2
  root_tar=$("$here/debian-root") || exit 1
  work=$(mktemp -d) || exit 1
  trap 'rm -rf --one-file-system -- "$work"' EXIT
  chmod 755 "$work"
  mkdir "$work/programs" "$work/next"
  cp "$server" "$work/programs/action-server" && cp "$client" "$work/programs/action-client" || exit 1
  # the next version has another nodes.yaml and another script
  cp -R "$project"/{packaging,libexec,docs,proto,examples} "$project"/*.md "$project"/LICENSE-* "$project/Cargo.toml" "$work/next" || exit 1
  echo "# a better example" >>"$work/next/packaging/etc/nodes.yaml"
  echo "# a better script" >>"$work/next/libexec/sample/default.sh"
  build() { "$1/packaging/build" --binaries "$work/programs" --fast --out "$work/$2" --version "$3"; }
  build "$project" packages 1.2.3 >"$work/built" && build "$work/next" packages-next 1.2.4 >>"$work/built" &&
    build "$project" packages-again 1.2.3 >>"$work/built" || exit 1
  # what they say of errors; warnings are for those who read them
  lint() {
    lintian --allow-root --fail-on error "$work"/packages/*.deb &&
      rpmlint --config "$project/packaging/rpm/rpmlint.toml" "$work"/packages/*.rpm
  }
  lint >"$work/lint.log" 2>&1 || { grep -E '(^E|: E):' "$work/lint.log"; exit 1; }
  build_image() {
    local base context=$work/image
    base=$(images from scratch) && images add "$base" "$root_tar" / &&
      images commit "$base" localhost/debian && images rm "$base" || return 1
    mkdir -p "$context/target/release" "$context/packaging"
    cp "$work/programs/action-server" "$context/target/release/" && cp -R "$project/packaging/container" "$context/packaging/" || return 1
    # the program is there already, and so is a Debian
    sed -e '/^FROM rust/,/^RUN cargo/c FROM scratch AS build\nCOPY . /src' -e 's,^FROM debian:.*,FROM localhost/debian,' \
      "$project/packaging/container/Containerfile" >"$work/Containerfile"
    images build --isolation chroot --format docker --tag action --file "$work/Containerfile" "$context"
  }
  if ((!$#)) || [[ " $* " == *" container "* ]]; then
    build_image >"$work/image.log" 2>&1 || { tail -n 20 "$work/image.log"; exit 1; }
  fi
  unshare --net --mount --pid --fork --kill-child --mount-proc "$here/packages.sh" --inside "$work" "$root_tar" "$@"
  exit
fi

# ---- inside: a network, process and mount namespace. The port is free, and all ends with it

work=$2 root_tar=$3
shift 3
parts=("$@")
((${#parts[@]})) || parts=(release deb rpm systemd container)
ip link set lo up

# shellcheck source=tests/checks.sh
. "$here/checks.sh"

# shellcheck source=/dev/null
for file in site "${parts[@]}"; do . "$here/packages/$file.sh"; done
for part in "${parts[@]}"; do
  start=$SECONDS about="$part: "
  "part_$part"
  echo "# $part took $((SECONDS - start)) s"
done
counted
