#!/bin/bash
# Has the server open its audit log anew and look at nodes and commands. Usage: reload.sh PIDFILE
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

pid=$(server_of "$1") || fail 'the server does not run; run: flight service start action-api'
kill -HUP "$pid"
