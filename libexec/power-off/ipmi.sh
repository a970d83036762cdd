#!/bin/bash
# Powers a node off, by its BMC (IPMI).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ipmi.sh"

require_no_arguments "$@"
power_off ipmi
