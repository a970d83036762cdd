#!/bin/bash
# flight-service traces its scripts to a log, and the secret has no place there
set +x
# Writes the secret, and whatever else a server needs and is not there yet. Usage: configure.sh jwt_secret=SECRET
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"
set +x

secret=
for word in "$@"; do
  case $word in
    jwt_secret=*) secret=${word#*=} ;;
    *) fail "there is no ${word%%=*} to configure: see $settings" ;;
  esac
done
((${#secret} >= 32)) || fail 'the secret needs at least 32 characters'

directory=${settings%/*}
mkdir -p "$directory"
# Nobody ever reads half of it, or may read it for a moment.
(
  umask 077
  printf '%s\n' "$secret" >"$directory/jwt_secret.new"
)
mv "$directory/jwt_secret.new" "$directory/jwt_secret"
[[ -x $server ]] || fail "there is no action-server: neither $server nor in $PATH"
# It keeps what is there.
"$server" init "$directory" || fail "cannot make $settings: see the log of this operation"
