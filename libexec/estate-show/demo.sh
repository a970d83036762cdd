#!/bin/bash
# Prints the machine type of a demo node.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/demo.sh"

require_no_arguments "$@"
demo_open
demo_read_type
print_machine_type demo "$demo_machine"
