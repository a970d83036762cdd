#!/bin/bash
# Starts the server, and reports its process id when it takes calls.
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

[[ -x $server ]] || fail "there is no action-server: neither $server nor in $PATH"
[[ -e $settings ]] || fail "there is no $settings; run: flight service configure action-api"
mkdir -p "${log%/*}"
touch "$log"
chmod 600 "$log"
before=$(stat -c %s "$log")

# tool_bg throws outputs away
# shellcheck disable=SC2016  # the inner shell's words
tool_bg bash -c 'exec "$@" >>"$0" 2>&1' "$log" "$server" serve --config "$settings"
pid=$!

# Until it says that it takes calls, or ends. A server that sees to the runs of one that died takes its time.
said() { tail -c "+$((before + 1))" "$log"; }
for ((tries = 0; tries < 600; tries++)); do
  if [[ $(said) == *'listening on '* ]]; then
    tool_set pid="$pid"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
kill "$pid" 2>/dev/null || true
fail "the server did not start: $(said | tail -n 2 | tr '\n' ' ')(see $log)"
