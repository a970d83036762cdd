#!/bin/bash
# Reports the load and uptime of a node.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ssh.sh"

require_no_arguments "$@"
load="$(on_node uptime)"
echo "$name load and uptime: $load"
