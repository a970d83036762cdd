#!/bin/bash
# Powers a demo node off and on again.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_no_arguments "$@"
demo_open
demo_lock
demo_want ON
demo_settle
if [[ $demo_state == OFF ]]; then
  echo "already OFF, nothing to cycle"
else
  demo_power_off
fi
demo_power_on
