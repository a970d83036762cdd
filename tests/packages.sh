#!/bin/bash
# Tests the packages on a Debian of their own: builds them, then installs, uses, upgrades and removes deb and rpm in a chroot,
# and deb once more on a booted systemd, with runs going on. The Debian is made by debootstrap, and kept in target/.
# Usage, as root: tests/packages.sh SERVER CLIENT [PART]..
#   SERVER and CLIENT are the two programs. PART is deb, rpm, systemd or release.
# shellcheck disable=SC2016  # what others expand
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")

# ---- outside: what needs the network, and the packages

if [[ ${1-} != --inside ]]; then
  server=$(realpath -e "$1") client=$(realpath -e "$2") || exit 64
  shift 2
  root_tar=${CARGO_TARGET_DIR:-$project/target}/packages-root.tar
  work=$(mktemp -d) || exit 1
  trap 'rm -rf --one-file-system -- "$work"' EXIT
  chmod 755 "$work"
  if [[ ! -s $root_tar ]]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,rpm bookworm "$work/root" "${mirror:?no mirror of bookworm in the sources of apt}" >"$work/debootstrap.log" ||
      { tail -n 20 "$work/debootstrap.log"; exit 1; }
    tar -C "$work/root" --one-file-system -cf "$root_tar.new" . && mv "$root_tar.new" "$root_tar" || exit 1
    rm -rf --one-file-system "$work/root"
  fi
  mkdir "$work/programs" "$work/next"
  cp "$server" "$work/programs/action-server" && cp "$client" "$work/programs/action-client" || exit 1
  # the next version has another nodes.yaml and another script
  cp -R "$project"/{packaging,libexec,docs,proto,examples} "$project"/*.md "$project"/LICENSE-* "$project/Cargo.toml" "$work/next" || exit 1
  echo "# a better example" >>"$work/next/packaging/etc/nodes.yaml"
  echo "# a better script" >>"$work/next/libexec/sample/default.sh"
  build() { "$1/packaging/build" --binaries "$work/programs" --fast --out "$work/$2" --version "$3"; }
  build "$project" packages 1.2.3 >"$work/built" && build "$work/next" packages-next 1.2.4 >>"$work/built" &&
    build "$project" packages-again 1.2.3 >>"$work/built" || exit 1
  unshare --net --mount --pid --fork --kill-child --mount-proc "$here/packages.sh" --inside "$work" "$root_tar" "$@"
  exit
fi

# ---- inside: a network, process and mount namespace. The port is free, and all ends with it

work=$2 root_tar=$3
shift 3
parts=("$@")
((${#parts[@]})) || parts=(release deb rpm systemd)
ip link set lo up

passed=0 failed=0
# check NAME CONDITION..: the condition is a command
check() {
  local what=$part:\ $1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok $what"
  else
    failed=$((failed + 1))
    echo "not ok $what"
    printf '# condition: %s\n# code %s\n' "$*" "${code-}"
    head -n 40 <<<"${out-}" | sed 's/^/# stdout: /'
    head -n 40 <<<"${err-}" | sed 's/^/# stderr: /'
  fi
}
# must NAME CONDITION..: a check without which the rest makes no sense
must() {
  local before=$failed
  check "$@"
  ((failed == before)) || { tail -n 30 "$work"/*.log | sed 's/^/# /'; exit 1; }
}
same() { [[ $1 == "$2" ]] || { diff <(echo "$1") <(echo "$2") | sed 's/^/# /'; false; }; }
has() { [[ $1 == *"$2"* ]]; }
lacks() { [[ $1 != *"$2"* ]]; }
gone() {
  local path
  for path; do [[ ! -e $root$path && ! -L $root$path ]] || { echo "# $path is there"; return 1; }; done
}
lines() { local IFS=$'\n'; echo "$*"; }
# until_true SECONDS CONDITION..
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}

# ---- the machine: a chroot, or a booted systemd

# on COMMAND..: on the machine, as root, in a fresh environment
on() {
  "${machine[@]}" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
# run COMMAND..: sets out, err and code
run() {
  on "$@" >"$work/out" 2>"$work/err" </dev/null
  code=$?
  out=$(<"$work/out") err=$(<"$work/err")
}
quiet() { on "$@" >/dev/null 2>&1 </dev/null; }

new_machine() {
  root=$work/$part
  mkdir "$root" && tar -C "$root" -xf "$root_tar" || exit 1
  cp -R "$work/packages" "$work/packages-next" "$root/"
  echo 127.0.0.1 localhost >"$root/etc/hosts"
  machine=(chroot "$root")
}
chroot_machine() {
  new_machine
  mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/run" || exit 1
}
boot_machine() {
  new_machine
  # no console to log in on: nothing waits for a terminal
  systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network </dev/null >"$work/boot.log" 2>&1 &
  nspawn=$!
  must "systemd boots" until_true 60 booted
}
booted() {
  local leader
  leader=$(pgrep -P "$nspawn") || return 1
  machine=(nsenter -t "$leader" -a)
  [[ $(on systemctl is-system-running 2>/dev/null) =~ running|degraded ]]
}

# ---- what the docs say

# block HEADING NUMBER: that block of code below this heading of docs/installation.md
block() {
  awk -v heading="## $1" -v number="$2" '
    /^## / { here = ($0 == heading) }
    here && /^```/ { inside = !inside; count += inside; next }
    here && inside && count == number' "$project/docs/installation.md"
}

start_server() {
  local script
  script=$(block "Without systemd" 1)
  # the last server's log says the same
  : >"$work/server.log"
  (exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -ec "$script" >>"$work/server.log" 2>&1 </dev/null) &
  server=$!
  must "the server starts as docs/installation.md says" until_true 30 grep -q 'listening on 127.0.0.1:6304' "$work/server.log"
}

# audited EVENT COUNT: the audit log has this many of them
audited() { [[ $(grep -c "\"event\":\"$1\"" "$root/var/lib/action/audit.jsonl") == "$2" ]]; }

first_steps() {
  run sh -ec "$(block "First steps" 1)"
  must "root makes a token" same "$code" 0
  check "nothing is wrong with the configuration as it is installed" has "$err" "; 0 errors, 0 warnings"
  run sh -ec "cp /etc/action/certificate.pem .; umask 022; $(block "First steps" 2)"
  must "a user calls, over TLS with the certificate that was made" same "$code" 0
  check "the simulated nodes are there" same "$(tail -n 1 <<<"$out")" ON
  check "so are the commands of the packs" has "$out" power-cycle
  check "of both" has "$out" estate-change
  run estate show demo02
  check "estate is the client under another name" same "$out" general-small
  run action-client can-i power-off -g 'demo[01-02]'
  check "the token may do all" same "$code" 0
  run env ACTION_SERVER_POLICY_PATH=/usr/share/doc/action-server/examples/policy.yaml action-server check
  check "the example of a policy is good" same "$code" 0
}

root_revokes() {
  local jti old
  run action-server generate-token --subject mallory
  jti=$(sed -n 's/^jti: *//p' <<<"$err") old=$out
  run env ACTION_CLIENT_JWT_TOKEN="$old" action-client nodes
  check "a token is good" same "$code" 0
  run action-server revoke --jti "$jti"
  check "root revokes it" same "$code" 0
  check "and then it is not" until_true 10 refused "$old"
  run action-client nodes
  check "another token still is" same "$code" 0
  check "the list is root's, and the server can read it" same "$(on stat -c '%a %U' /etc/action/revoked.jsonl)" "644 root"
}
refused() { ! quiet env ACTION_CLIENT_JWT_TOKEN="$1" action-client nodes; }

# ---- a run that goes on until it is released

admins_own() {
  mkdir "$root/etc/action/libexec/slow"
  echo 'help: {summary: "goes on until it is released"}' >"$root/etc/action/libexec/slow/metadata.yaml"
  cat >"$root/etc/action/libexec/slow/default.sh" <<'END'
#!/bin/bash
line=0
until [[ -e /var/lib/action/release ]]; do
  echo "line $((line += 1))"
  sleep 0.1
done
echo "the end of $line"
END
  chmod 755 "$root/etc/action/libexec/slow/default.sh"
  echo 'own01: {ranks: [demo]}' >>"$root/etc/action/nodes.yaml"
  check "edits count while the server runs" until_true 30 quiet action-client slow own01 --dry-run
}
start_slow() {
  rm -f "$root/var/lib/action/release"
  run action-client slow own01 --detach
  slow=$out
  must "a run goes on" until_true 30 shows "line 3"
}
shows() { [[ $(on action-client show "$slow" 2>/dev/null) == *"$1"* ]]; }
release() { touch "$root/var/lib/action/release"; }
# whole: the run ended well, and nothing of its output is missing
whole() {
  local last
  run action-client attach "$slow"
  last=$(sed -n 's/^the end of //p' <<<"$out")
  [[ $code == 0 && -n $last ]] && same "$out" "$(seq -f 'line %g' "$last"; echo "the end of $last")"
}

# ---- what is there after an install

installed() {
  check "every file is as docs/installation.md says" same "$(on stat -c '%a %U:%G %n' /etc/action/{server.yaml,nodes.yaml,libexec,jwt_secret,revoked.jsonl,certificate.pem,private_key.pem} \
    /var/lib/action /usr/bin/action-{server,client} /usr/lib/systemd/system/action-server.service)" "$(lines \
    "644 root:root /etc/action/server.yaml" "644 root:root /etc/action/nodes.yaml" "755 root:root /etc/action/libexec" \
    "600 root:root /etc/action/jwt_secret" "644 root:root /etc/action/revoked.jsonl" "644 root:root /etc/action/certificate.pem" \
    "600 action:action /etc/action/private_key.pem" "700 action:action /var/lib/action" "755 root:root /usr/bin/action-server" \
    "755 root:root /usr/bin/action-client" "644 root:root /usr/lib/systemd/system/action-server.service")"
  check "nothing else there is anybody's but root's" same "$(on find /etc/action ! -user root -o ! -group root -o -perm /022)" /etc/action/private_key.pem
  check "scripts can be run" same "$(on find /etc/action/libexec -name '*.sh' ! -path '*/helpers/*' ! -perm 755)" ""
  check "the user is nobody's to log in as" same "$(on getent passwd action | cut -d: -f6,7)" /var/lib/action:/usr/sbin/nologin
  check "the client has its other names" same "$(on readlink /usr/bin/{power,estate,flight-power,flight-estate} | sort -u)" action-client
  check "manual pages are there" on sh -c 'gzip -t /usr/share/man/man8/action-server-serve.8.gz /usr/share/man/man1/flight-power.1.gz'
  check "completions are there" on bash -ec 'cd /usr/share/bash-completion/completions; for name in action-server power; do . ./$name; complete -p $name; done >/dev/null'
}
kept() { cat "$root"/etc/action/{jwt_secret,private_key.pem,certificate.pem,nodes.yaml} | sha256sum; }

deb() { on apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -y --no-install-recommends "$@" >"$work/apt.log" 2>&1; }
deb_versions() { on dpkg-query -W -f '${Version}\n' action-server action-client action-server-power action-server-estate | sort -u; }
# packages DIRECTORY FORMAT: their paths on the machine
packages() { (cd "$root" && printf '/%s\n' "$1"/*."$2"); }

# ---- deb, without systemd

part_deb() {
  local before
  chroot_machine
  mapfile -t first < <(packages packages deb)
  mapfile -t next < <(packages packages-next deb)
  check "the same sources give the same packages" diff -r "$work/packages" "$work/packages-again"
  for package in "${first[@]}"; do dpkg-deb --control "$root$package" "$work/control$package"; done
  check "what dpkg runs passes shellcheck" shellcheck -s sh "$work"/control/packages/*/p*
  must "they are installed" deb install "${first[@]}"
  check "what was made is told" has "$(<"$work/apt.log")" "made a certificate"
  installed
  check "the service is enabled for the next boot" test -L "$root/etc/systemd/system/multi-user.target.wants/action-server.service"
  check "nothing was started" same "$(of_action)" ""
  start_server
  check "and now something is" test -n "$(of_action)"
  first_steps
  root_revokes
  admins_own

  start_slow
  before=$(kept)
  must "an upgrade while a run goes on" deb install "${next[@]}"
  check "is one" same "$(deb_versions)" 1.2.4-1
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and has the new file beside it" grep -q "a better example" "$root/etc/action/nodes.yaml.dpkg-dist"
  check "replaces what was not edited" grep -q "a better script" "$root/etc/action/libexec/sample/default.sh"
  check "the server and its run go on" kill -0 "$server"
  release
  check "the run is whole" whole

  start_slow
  kill "$server"
  check "a server that is stopped waits for its runs" until_true 30 audited server_stopping 1
  release
  wait "$server"
  check "and ends well" same "$?" 0
  start_server
  check "the next one has the run, whole" whole
  run action-client sample own01
  check "an edited file beside scripts changes no command" has "$out" "hello from own01"

  deb remove action-server-power
  check "the commands of a removed pack are gone" until_true 30 no_command power-on
  check "and those of the other are not" quiet action-client estate-show demo01
  must "it is installed again" deb install "$(grep power <<<"$(lines "${next[@]}")")"
  check "and its commands are back" until_true 30 quiet action-client power-status demo01
  check "as they were" on sh -c '! find /etc/action -name "*.removed" | grep .'

  deb remove action-server
  check "a remove takes the programs" gone /usr/bin/action-server /usr/lib/systemd/system/action-server.service
  check "and keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and the records" test -s "$root/var/lib/action/audit.jsonl"
  must "it is installed again" deb install "${next[@]}"
  check "with all that was there" same "$(kept)" "$before"
  kill "$server"
  wait "$server"
  start_server
  check "the token is good as before" quiet action-client power-status own01
  kill "$server"
  wait "$server"

  deb purge action-server-power action-server-estate action-server action-client
  check "a purge says what it removes" has "$(<"$work/apt.log")" "removed the records of all runs"
  check "removes all but the admin's own command" same "$(on find /etc/action -type f | sort)" "$(lines /etc/action/libexec/slow/default.sh /etc/action/libexec/slow/metadata.yaml)"
  check "says that this is left" has "$(<"$work/apt.log")" "/etc/action is left"
  check "leaves nothing else" gone /var/lib/action /etc/systemd/system/multi-user.target.wants/action-server.service /usr/share/doc/action-server /usr/bin/power
  check "and not the user" same "$(on getent passwd action)$(on getent group action)" ""
}
# of_action: the processes of the server's user
of_action() { pgrep -u "$(on id -u action)"; }
no_command() { ! quiet action-client "$1" demo01 --dry-run; }

# ---- rpm, without systemd

rpm() { on rpm --nodeps "$@" >"$work/rpm.log" 2>&1; }

part_rpm() {
  local before
  chroot_machine
  mapfile -t first < <(packages packages rpm)
  mapfile -t next < <(packages packages-next rpm)
  must "they are installed" rpm -i "${first[@]}"
  check "what was made is told" has "$(<"$work/rpm.log")" "made a certificate"
  installed
  check "every file is as the package has it" same "$(on rpm -V --nodeps action-server action-client action-server-power action-server-estate)" ""
  start_server
  first_steps
  admins_own

  start_slow
  before=$(kept)
  must "an upgrade while a run goes on" rpm -U "${next[@]}"
  check "is one" same "$(on rpm -q --qf '%{VERSION}\n' action-server action-client action-server-power action-server-estate | sort -u)" 1.2.4
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and has the new file beside it" grep -q "a better example" "$root/etc/action/nodes.yaml.rpmnew"
  check "replaces what was not edited" grep -q "a better script" "$root/etc/action/libexec/sample/default.sh"
  release
  check "the run is whole" whole

  must "a pack is removed" rpm -e action-server-power
  check "and its commands are gone" until_true 30 no_command power-on
  check "those of the other are not" quiet action-client estate-show demo01
  kill "$server"
  wait "$server"
  check "a server that is stopped ends well" same "$?" 0
  must "all are removed" rpm -e action-server action-server-estate action-client
  check "which takes the programs" gone /usr/bin/action-server /usr/bin/power /usr/lib/systemd/system/action-server.service /etc/action/server.yaml
  check "and keeps what was made, edited, and recorded" quiet test -s /etc/action/jwt_secret -a -s /etc/action/nodes.yaml.rpmsave -a -s /var/lib/action/audit.jsonl
}

# ---- both, on a booted systemd

service() { on systemctl show --value --property "$1" action-server.service; }

# upgrade_under_a_run COMMAND..: upgrades so, while a run goes on
upgrade_under_a_run() {
  local before process upgrade
  start_slow
  before=$(kept) process=$(service MainPID)
  "$@" &
  upgrade=$!
  check "an upgrade stops the server" until_true 60 audited server_stopping 1
  check "which waits for its run" same "$(service MainPID)" "$process"
  release
  wait "$upgrade"
  check "and is done" same "$?" 0
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "the new server runs" until_true 30 same "$(service ActiveState)" active
  check "and is another process" lacks "$(service MainPID)" "$process"
  check "the run is whole" whole
}

# remove_under_a_run COMMAND..: removes so, while a run goes on
remove_under_a_run() {
  local removal
  start_slow
  "$@" &
  removal=$!
  check "a remove stops the server" until_true 60 audited server_stopping 2
  release
  wait "$removal"
  check "which ends well" same "$? $(service ActiveState)" "0 inactive"
}

part_systemd() {
  local before process
  boot_machine
  mapfile -t first < <(packages packages deb)
  mapfile -t next < <(packages packages-next deb)
  must "they are installed" deb install "${first[@]}"
  installed
  must "the service runs, and is enabled" same "$(service ActiveState) $(service UnitFileState)" "active enabled"
  check "as the user action" same "$(on stat -c %U "/proc/$(service MainPID)")" action
  first_steps
  root_revokes
  admins_own
  process=$(service MainPID)
  check "a reload is one" on systemctl reload action-server.service
  check "which needs no other process" same "$(service MainPID)" "$process"

  upgrade_under_a_run deb install "${next[@]}"
  check "it is the next version" same "$(deb_versions)" 1.2.4-1
  before=$(kept)
  remove_under_a_run deb remove action-server
  check "and all is kept" same "$(kept)" "$before"
  must "it is installed again" deb install "${next[@]}"
  check "and runs again" same "$(service ActiveState)" active
  check "the run before the remove is whole" whole

  on systemctl disable --now --quiet action-server.service
  must "it is installed over again" deb install --reinstall "${next[@]}"
  check "what the admin has disabled stays so" same "$(service ActiveState) $(service UnitFileState)" "inactive disabled"
  deb purge action-server-power action-server-estate action-server action-client
  check "a purge leaves nothing" gone /var/lib/action /etc/action/jwt_secret /etc/systemd/system/multi-user.target.wants/action-server.service
  check "and not the user" same "$(on getent passwd action)" ""
  rm -r "$root/etc/action/libexec/slow"

  mapfile -t first < <(packages packages rpm)
  mapfile -t next < <(packages packages-next rpm)
  must "the rpms are installed" rpm -i "${first[@]}"
  on systemctl enable --now --quiet action-server.service
  must "their service runs" same "$(service ActiveState)" active
  first_steps
  admins_own
  upgrade_under_a_run rpm -U "${next[@]}"
  remove_under_a_run rpm -e action-server action-server-power action-server-estate action-client
  check "the service is forgotten" same "$(service LoadState)" not-found
  check "no link to it is left" gone /etc/systemd/system/multi-user.target.wants/action-server.service
  on systemctl poweroff >/dev/null 2>&1
  wait "$nspawn"
}

# ---- a release, without its build

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
  check "the lock is current" same "$(cargo tree --offline --locked --package action-server --depth 0 | cut -d' ' -f2)" v99.0.0
  check "all crates of ours have it" same "$(cargo metadata --offline --locked --format-version 1 --no-deps | jq -r '.packages[].version' | sort -u)" 99.0.0
  check "the changelog is of the version, with its date" grep -q "^## \[99.0.0\] - $(date -u +%Y)-" CHANGELOG.md
  release_of --no-build 99.0.0
  check "the same once more is refused" has "$err" "a tag v99.0.0"
  release_of --no-build 99.0.1
  check "as is one without a word in the changelog" has "$err" "nothing under [Unreleased]"
  cd "$project" || exit 1
}

for part in "${parts[@]}"; do "part_$part"; done
echo "$passed passed, $failed failed"
((failed == 0))
