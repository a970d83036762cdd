#!/bin/bash
# The image, without its build: what it has, as the user and with the environment that it says.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

part_container() {
  local config command variables
  root=$(images mount "$(images from localhost/action)")
  config=$(images inspect --type image localhost/action | jq '.OCIv1.config + {StopSignal: .Docker.config.StopSignal}')
  mapfile -t variables < <(jq -r '.Env[]' <<<"$config")
  mapfile -t command < <(jq -r '(.Entrypoint + .Cmd)[]' <<<"$config")
  machine=(chroot "--userspec=$(jq -r .User <<<"$config")" "$root" /usr/bin/env -i "${variables[@]}")
  mount -t proc proc "$root/proc" || exit 1
  in_image() { out=$("${machine[@]}" "$@" 2>"$work/err" </dev/null); code=$? err=$(<"$work/err"); }
  in_image action-server init /etc/action
  must "the user can make a configuration" same "$code" 0
  in_image action-server cert /etc/action --name localhost
  must "and a certificate" same "$code" 0
  in_image action-healthy
  check "it is not well before it is started" test "$code" != 0
  # the first process of a namespace, as in a container
  : >"$work/server.log"
  unshare --pid --fork --kill-child "${machine[@]}" "${command[@]}" >"$work/server.log" 2>&1 </dev/null &
  server=$!
  must "the server starts" until_true 30 grep -q 'listening on 0.0.0.0:6304' "$work/server.log"
  in_image action-healthy
  check "it is well then" same "$code" 0
  in_image action-server generate-token --subject alice
  export ACTION_CLIENT_JWT_TOKEN=$out ACTION_CLIENT_BASE_URL=https://localhost:6304 ACTION_CLIENT_CA_PATH=$root/etc/action/certificate.pem
  out=$("$work/programs/action-client" power-status cnode01 2>"$work/err")
  check "a caller from outside gets an answer" same "$out" ON
  out=$("$work/programs/action-client" power-cycle cnode01 --confirm --detach 2>"$work/err")
  check "and starts a run" test -n "$out"
  kill "-$(jq -r .StopSignal <<<"$config")" "$(pgrep -P "$server")"
  wait "$server"
  check "the image's signal stops the server well" same "$?" 0
  check "after its run" has "$(<"$work/server.log")" 'run_finished run_id='"$out"' outcome="ok"'
}
