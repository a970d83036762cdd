#!/bin/bash
# What the parts share: the machine, what they do on it, and what is there after an install.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

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
  run env ACTION_SERVER_POLICY_PATH=/usr/share/doc/action-server/packaging/examples/policy.yaml action-server check
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
    "644 root:root /etc/action/server.yaml" "640 root:action /etc/action/nodes.yaml" "755 root:root /etc/action/libexec" \
    "600 root:root /etc/action/jwt_secret" "644 root:root /etc/action/revoked.jsonl" "644 root:root /etc/action/certificate.pem" \
    "600 action:action /etc/action/private_key.pem" "700 action:action /var/lib/action" "755 root:root /usr/bin/action-server" \
    "755 root:root /usr/bin/action-client" "644 root:root /usr/lib/systemd/system/action-server.service")"
  check "nothing else there is anybody's but root's" same "$(on find /etc/action ! -user root -o ! -group root -o -perm /022 | sort)" "$(lines /etc/action/nodes.yaml /etc/action/private_key.pem)"
  check "scripts can be run" same "$(on find /etc/action/libexec -name '*.sh' ! -path '*/helpers/*' ! -perm 755)" ""
  check "the user is nobody's to log in as" same "$(on getent passwd action | cut -d: -f6,7)" /var/lib/action:/usr/sbin/nologin
  check "the client has its other names" same "$(on readlink /usr/bin/{power,estate,flight-power,flight-estate} | sort -u)" action-client
  check "manual pages are there" on sh -c 'gzip -t /usr/share/man/man8/action-server-serve.8.gz /usr/share/man/man5/server.yaml.5.gz /usr/share/man/man1/flight-power.1.gz'
  check "completions are there" on bash -ec 'cd /usr/share/bash-completion/completions; for name in action-server power; do . ./$name; complete -p $name; done >/dev/null'
}
kept() { cat "$root"/etc/action/{jwt_secret,private_key.pem,certificate.pem,nodes.yaml} | sha256sum; }
gone() {
  local path
  for path; do [[ ! -e $root$path && ! -L $root$path ]] || { echo "# $path is there"; return 1; }; done
}
# packages DIRECTORY FORMAT: their paths on the machine
packages() { (cd "$root" && printf '/%s\n' "$1"/*."$2"); }
deb() { on apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -y --no-install-recommends "$@" >"$work/apt.log" 2>&1; }
deb_versions() { on dpkg-query -W -f '${Version}\n' action-server action-client action-server-power action-server-estate | sort -u; }
rpm() { on rpm --nodeps "$@" >"$work/rpm.log" 2>&1; }

# of_action: the processes of the server's user
of_action() { pgrep -u "$(on id -u action)"; }
no_command() { ! quiet action-client "$1" demo01 --dry-run; }
