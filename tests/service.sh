#!/bin/bash
# Tests the server as a service of a booted systemd: what docs/service.md says of the units and drop-ins holds there.
# Usage, as root: tests/service.sh SERVER CLIENT
# shellcheck disable=SC2016  # what others expand
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")

# ---- outside: what needs the network

if [[ ${1-} != --inside ]]; then
  server=$(realpath -e "$1") client=$(realpath -e "$2") || exit 64
  root_tar=$("$here/debian-root") || exit 1
  work=$(mktemp -d) || exit 1
  trap 'rm -rf --one-file-system -- "$work"' EXIT
  chmod 755 "$work"
  mkdir "$work/machine" && tar -C "$work/machine" -xf "$root_tar" || exit 1
  cp "$server" "$work/machine/usr/bin/action-server" && cp "$client" "$work/machine/usr/bin/action-client" || exit 1
  mkdir "$work/machine/project" && cp -R "$project/packaging" "$work/machine/project/" || exit 1
  unshare --mount --pid --fork --kill-child --mount-proc "$here/service.sh" --inside "$work"
  exit
fi

# ---- inside: a process and mount namespace. All ends with it

work=$2
root=$work/machine
# shellcheck source=tests/checks.sh
. "$here/checks.sh"
more() { on journalctl -u action-server -o cat -n 20 --no-pager 2>/dev/null | sed 's/^/# log: /'; }

# on COMMAND..: on the machine, as root, in a fresh environment
on() {
  nsenter -t "$leader" -a /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 \
    ACTION_CLIENT_CONFIG=/etc/action/client.yaml "$@" </dev/null
}
# run COMMAND..: sets out, and succeeds with it
run() { out=$(on "$@" 2>&1); }
booted() {
  leader=$(pgrep -P "$nspawn") && [[ $(on systemctl is-system-running 2>/dev/null) =~ running|degraded ]]
}
# of PROPERTY: what systemd knows of the service
of() { on systemctl show -P "$1" action-server.service; }
is() { same "$(of "$1")" "$2"; }
# drop_in TEXT, or @FILE: the service's only drop-in from now on; without either there is none
drop_in() {
  local directory=/etc/systemd/system/action-server.service.d
  rm -rf "${root:?}$directory"
  mkdir -p "$root$directory"
  case ${1-} in
    '') ;;
    @*) cp "$project/packaging/systemd/${1#@}" "$root$directory/" ;;
    *) printf '[Service]\n%s\n' "$1" >"$root$directory/test.conf" ;;
  esac
  on systemctl daemon-reload
}
# command_of NAME SCRIPT: the server has it when this returns
command_of() {
  local directory=$root/etc/action/libexec/$1
  mkdir -p "$directory"
  echo 'help: {summary: a test}' >"$directory/metadata.yaml"
  printf '#!/bin/bash\n%s\n' "$2" >"$directory/default.sh"
  chmod 755 "$directory/default.sh"
  on systemctl reload-or-restart action-server.service
  must "the server knows $1" until_true 20 run action-client help "$1"
}
# begin COMMAND: starts a run whose script goes on, and sets id
begin() { id=$(on action-client run "$1" cnode01 --detach) && until_true 20 pgrep -f "libexec/$1/default.sh" >/dev/null; }
# outcome_is OUTCOME: of that run
outcome_is() { has "$(on action-client runs --output json | grep -F "\"$id\"")" "\"outcome\":\"$1\""; }
went_by() { ((SECONDS >= $1)); }

systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network </dev/null >"$work/boot.log" 2>&1 &
nspawn=$!
must "systemd boots" until_true 60 booted

# ---- by hand, as the manual says

lines=$(awk '/^## / { here = ($0 == "## By hand") } here && /^```/ { inside = !inside; count += inside; next }
  here && inside && count == 1' "$project/docs/service.md")
echo "127.0.0.1 localhost" >"$root/etc/hosts"
must "the lines of the manual install and start the service" run sh -euc "cd /project; umask 022; $lines"
check "it takes calls when systemd says that it is started" run action-client nodes
check "systemd shows where" is StatusText 'listening on 127.0.0.1:6304'

# ---- the secret is root's, and the server has it

same "$(stat -c %U:%a "$root/etc/action/jwt_secret")" root:600 || exit 1
check "the user of the service cannot read the secret's file" same "$(on setpriv --reuid action --clear-groups --regid action cat /etc/action/jwt_secret 2>&1)" 'cat: /etc/action/jwt_secret: Permission denied'
command_of look 'id -un; env; readlink /proc/$$/fd/*; touch /etc/x; touch /var/lib/action/x && echo kept'
run action-client run look cnode01
check "scripts run as that user" same "${out%%$'\n'*}" action
check "and get nothing of systemd's" lacks "$out" NOTIFY_SOCKET
check "also no socket" lacks "$out" 'socket:['

# ---- the journal

# journal_has TEXT: in an entry of the newest run
journal_has() {
  local newest
  newest=$(on action-client runs --output json | grep -o '"run_id":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
  has "$(on journalctl "RUN_ID=$newest" -u action-server.service -o json --no-pager)" "$1"
}
check "the journal finds the lines of a run by its id" until_true 20 journal_has run_finished
check "with their priority" journal_has '"PRIORITY":"6"'

# ---- reload, stop, watchdog

sed 's/cnode04/cnode09/' -i "$root/etc/action/nodes.yaml"
must "a reload is one" run systemctl reload action-server.service
check "the edit is in use when it is done" until_true 20 run sh -c 'action-client nodes | grep -q cnode09'
check "and the service is active again" until_true 20 is ActiveState active

command_of wait 'read -r <"/var/lib/action/gate"; echo through'
on mkfifo -m 666 /var/lib/action/gate
drop_in 'TimeoutStopSec=2s'
must "a run goes on" begin wait
on systemctl stop --no-block action-server.service
check "a stop counts the runs that are left" until_true 20 is StatusText 'stopping: 1 run is left'
until_true 20 went_by $((SECONDS + 5))
check "the server got more time than systemd would have given" is SubState stop-sigterm
on timeout 10 sh -c 'echo >/var/lib/action/gate'
check "and stops when the run has ended" until_true 20 is ActiveState inactive
check "well" same "$(of Result) $(of ExecMainStatus)" 'success 0'
drop_in
on systemctl start action-server.service
check "the run ended well too" outcome_is ok

drop_in 'WatchdogSec=1s'
on systemctl restart action-server.service
until_true 20 went_by $((SECONDS + 3))
check "a server that lives is left alone" is NRestarts 0
must "a run goes on" begin wait
on sh -c "kill -STOP $(of MainPID)"
check "one that is stuck is started again" until_true 30 is NRestarts 1
check "it takes calls" until_true 20 run action-client nodes
check "the run is lost, and says so" until_true 20 outcome_is lost
check "and its script is gone" same "$(pgrep -f libexec/wait/default.sh)" ''
drop_in

# ---- the socket

on systemctl stop action-server.service
must "systemd listens" run systemctl start action-server.socket
check "the server does not run" is ActiveState inactive
check "the first call starts it" run action-client nodes
check "it takes the socket" is StatusText 'listening on 127.0.0.1:6304'
check "a caller that comes while it is started again waits" run sh -c 'systemctl restart --no-block action-server.service; action-client nodes'
on systemctl stop action-server.socket action-server.service

# ---- the drop-ins

drop_in @hardened.conf
must "the hardened server starts" run systemctl start action-server.service
run action-client run look cnode01
check "a script cannot write elsewhere" has "$out" "touch: cannot touch '/etc/x': Read-only file system"
check "it can where the state is" has "$out" kept
command_of stray 'setsid sleep 1000 >/dev/null 2>&1 & echo left'
run action-client run stray cnode01 --output json
check "what hides from its job is found there too" has "$out" '"leftover_processes":1'
check "and the journal is written" until_true 20 journal_has run_finished

drop_in @tls.conf
on action-server cert /etc/action --name localhost >/dev/null
must "the server with a key that is root's alone starts" run systemctl restart action-server.service
sed 's,http://127.0.0.1,https://localhost,' "$root/etc/action/client.yaml" >"$root/root/tls.yaml"
echo 'ca_path: /etc/action/certificate.pem' >>"$root/root/tls.yaml"
chmod 600 "$root/root/tls.yaml"
check "calls come over TLS" run env SSL_CERT_FILE=/etc/action/certificate.pem action-client --config /root/tls.yaml nodes
check "plain ones do not" same "$(on action-client nodes >/dev/null 2>&1; echo $?)" 255

# ---- a configuration that is wrong

drop_in
echo 'no_such_setting: 1' >>"$root/etc/action/server.yaml"
run systemctl restart action-server.service
check "it is not started again and again" same "$(of ActiveState) $(of ExecMainStatus)" 'failed 78'

on systemctl poweroff >/dev/null 2>&1
wait "$nspawn"
counted
