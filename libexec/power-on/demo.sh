#!/bin/bash
# Powers a demo node on.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_no_arguments "$@"
demo_open
demo_lock
demo_want ON
demo_power_on
