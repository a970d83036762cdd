#!/bin/bash
# Prints the power state of a demo node.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_no_arguments "$@"
demo_open
demo_read_power
printf '%s\n' "$demo_state"
# the exit_codes of metadata.yaml make 123 an answer instead of a failure
case $demo_state in
  OFF | STOPPING) exit 123 ;;
esac
