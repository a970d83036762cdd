#!/bin/bash
# Tests the commands of the real platforms: through action-client and action-server, on what stands for the platforms here.
# That is ipmi_sim, sushy-tools' Redfish emulator, moto's EC2 behind the real aws, and a fake of Azure behind the real az.
# What a command did is looked up in another way: with ipmitool, curl, aws and az themselves.
# Usage, as root: tests/platforms.sh SERVER CLIENT VENV [PART]..
#   SERVER and CLIENT are the two programs. VENV has tests/fixtures/platforms/requirements*.txt. PART is ipmi, aws, ..
set -uo pipefail

if [[ ${1-} != --inside ]]; then
  # a network, process and mount namespace: every port is free, and all ends with it
  here=$(cd "$(dirname "$0")" && pwd) server=$(realpath -e "$1") client=$(realpath -e "$2") venv=$(realpath -e "$3") || exit 64
  shift 3
  exec unshare --net --mount --pid --fork --kill-child --mount-proc "$here/platforms.sh" --inside "$here" "$server" "$client" "$venv" "$@"
fi
here=$2 server=$3 client=$4 venv=$5
shift 5
parts=("$@")
((${#parts[@]})) || parts=(example ipmi redfish aws azure)
fixtures=$here/fixtures/platforms
work=$(mktemp -d) || exit 1
trap 'rm -rf -- "$work"' EXIT
chmod 755 "$work"
programs=$work/programs
mkdir "$programs"
ln -s "$server" "$programs/action-server"
ln -s "$client" "$programs/action-client"
# what the caller has set for clouds of their own is not for these
for variable in "${!AWS_@}" "${!AZURE_@}" "${!ACTION_@}"; do unset "$variable"; done
# without its bytecode az takes three times as long
unset PYTHONDONTWRITEBYTECODE

# ---- checks

# shellcheck source=tests/checks.sh
. "$here/checks.sh"
# the run ended with this code, exactly this on stdout, and nothing but its own summary on stderr
is() { [[ $code == "$1" && $out == "$2" && -z $err ]]; }
# refused CODE TEXT..: the run failed so, and stderr has the texts
refused() {
  local text
  [[ $code == "$1" ]] || return 1
  shift
  for text in "$@"; do [[ $err == *"$text"* ]] || return 1; done
}
quiet() { "$@" >/dev/null 2>&1; }

# run COMMAND [NODE] [WORD]..: by the client, sets out, err and code
run() {
  "$programs/action-client" "$@" --confirm >"$work/out" 2>"$work/err" </dev/null
  code=$?
  out=$(<"$work/out") err=$(<"$work/err")
  cat "$work/out" "$work/err" >>"$work/shown"
}
# daemon NAME PROGRAM..
daemon() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 </dev/null &
}
python() { "$venv/bin/python" "$fixtures/$1.py" "${@:2}"; }

# ---- no password in any process' arguments

ip link set lo up
printf '%s' ipmi-password-1 >"$work/ipmi-password"
printf '%s' 'redfish "\pass"-1' >"$work/redfish-password"
printf '%s' aws-password-1 >"$work/aws-password"
printf '%s' azure-password-1 >"$work/azure-password"
lines ipmi-password-1 'redfish "\pass"-1' >"$work/secrets"
lines ipmi-password-1 wrong-password-1 pass\"-1 aws-password-1 azure-password-1 prove-password-1 >"$work/passwords"
: >"$work/found"
daemon argv python argv "$work/passwords" "$work/found" "$work/secrets" "$work/found-environ"
: >"$work/found-environ"
seen() { grep -q prove-password-1 "$work/found" && grep -q environment "$work/found-environ"; }
PROOF=ipmi-password-1 "$venv/bin/python" -c 'import signal; signal.pause()' prove-password-1 &
proof=$!
must "a password among the arguments of a process is seen, and one in its environment" until_true 20 seen
kill "$proof"
wait "$proof"
: >"$work/found"
: >"$work/found-environ"

# ---- server and client

# the client's token is in a file, the nodes are those of the parts
"$programs/action-server" init "$work/site" >/dev/null || exit 1
rm -rf -- "$work/site/libexec"
cp -r "$here/../libexec" "$work/site/libexec"
mkdir "$work/site/libexec/leak"
echo 'help: {summary: "Print what must not be shown"}' >"$work/site/libexec/leak/metadata.yaml"
cat >"$work/site/libexec/leak/default.sh" <<'END'
#!/bin/bash
for secret in "$ipmi_password" "$redfish_password"; do
  printf '<%s>\n' "$secret"
  # in two chunks, and on the other output
  half=$((${#secret} / 2))
  printf '%s' "${secret:0:half}" >&2 && sleep 0.05 && printf '%s\n' "${secret:half}" >&2
done
END
chmod 755 "$work/site/libexec/leak/default.sh"
chmod -R go-w "$work/site/libexec"
mkdir -p "$work/stand-in" "$work/calls"
for program in aws az curl ipmitool; do ln -s "$fixtures/stand-in" "$work/stand-in/$program"; done
# the address of each BMC
cp /etc/hosts "$work/hosts"
mount --bind "$work/hosts" /etc/hosts || exit 1
: >"$work/site/nodes.yaml"
settings="PATH: $work/stand-in:$venv/bin:/usr/bin:/bin
  STAND_IN_DIRECTORY: $work/calls
  platform_poll: 0.2
  platform_backoff: 0.1"
export PATH=$venv/bin:$PATH ACTION_CLIENT_CONFIG=$work/site/client.yaml

# a throw-away authority, for Redfish and Azure
(
  cd "$work" && key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
  openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -days 2 -subj "/CN=tests" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"
  openssl req "${key[@]}" -keyout server.key -out server.csr -subj "/CN=localhost"
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem -extfile \
    <(printf 'subjectAltName=DNS:localhost,DNS:red01.bmc,DNS:red02.bmc\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n')
) >"$work/openssl.log" 2>&1 || exit 1

# nodes [LINE]..: from stdin, more of nodes.yaml
nodes() { cat >>"$work/site/nodes.yaml"; }
# shellcheck source=/dev/null
for part in "${parts[@]}"; do . "$here/platforms/$part.sh"; done
for part in "${parts[@]}"; do "${part}_up"; done

printf 'script_environment:\n  %s\n' "$settings" >"$work/settings"
sed -i -e "/^script_environment:/,/^[^ ]/{/^script_environment:/d;/^ /d}" "$work/site/server.yaml"
cat "$work/settings" >>"$work/site/server.yaml"
must "the settings, nodes and commands are good" quiet "$programs/action-server" check --config "$work/site/server.yaml"
daemon server "$programs/action-server" serve --config "$work/site/server.yaml" --listen 127.0.0.1:6304
must "the server is there" until_true 20 grep -q 'listening on' "$work/server.log"

# ---- the parts

for part in "${parts[@]}"; do
  start=$SECONDS
  "${part}_checks"
  echo "# $part took $((SECONDS - start)) s"
done

# ---- in the end

# canaries: what is secret of a node, after all that was done with it
if [[ " ${parts[*]} " == *" ipmi "* ]]; then
  run leak bmc01
  check "a script that prints its secret is masked" same "$code $out" "$(lines '0 <***>' '<>')"
  check "also in two chunks" has "$err" '***'
fi
"$programs/action-client" --output json nodes >>"$work/shown" 2>&1
"$programs/action-client" --output json runs -n 0 >>"$work/shown" 2>&1
quiet tee -a "$work/shown" < <("$programs/action-client" runs -n 20 --output json | jq -r .run_id | while read -r id; do
  "$programs/action-client" --output json show "$id"
done)
check "the client was told something" test -s "$work/shown"
check "no password in what callers are told" same "$(grep -aF -f "$work/passwords" "$work/shown")" ""
# nodes.json is what the nodes file had last, secrets with it, and like it for the server alone
check "nor in the records, the audit log and all else of the state but the accepted nodes" \
  same "$(grep -raFl -f "$work/passwords" --exclude nodes.json "$work/site/state")" ""
check "which are for the server's user alone" same "$(stat -c %a "$work/site/state/nodes.json")" 600
check "there is an audit log" test -s "$work/site/state/audit.jsonl"
check "nor in the environment of a process that is no script's" same "$(<"$work/found-environ")" ""
check "no password among the arguments of any process" same "$(<"$work/found")" ""
check "nor of any call that a script made, of $(wc -l <"$work/calls/arguments")" \
  same "$(grep -F -f "$work/passwords" "$work/calls/arguments")" ""
check "the look at the arguments went on to the end" quiet pgrep -f "$fixtures/argv.py"
check "no password in the server's log" same "$(grep -F -f "$work/passwords" "$work/server.log")" ""
counted
