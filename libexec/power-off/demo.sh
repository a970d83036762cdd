#!/bin/bash
# Powers a demo node off.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_no_arguments "$@"
demo_open
demo_lock
demo_want OFF
demo_power_off
