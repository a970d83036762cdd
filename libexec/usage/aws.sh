#!/bin/bash
# Reports the load and uptime of a node in AWS, with its instance ID.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ssh.sh"

require_no_arguments "$@"
require_metadata ec2_id
load="$(on_node uptime)"
echo "$name ($ec2_id) load and uptime: $load"
