#!/bin/bash
# Changes the machine type of a demo node, and leaves its power as it was.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_machine_type demo "$@"
demo_open
demo_lock
demo_change_type "$1"
