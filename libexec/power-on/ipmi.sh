#!/bin/bash
# Powers a node on, by its BMC (IPMI).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ipmi.sh"

require_no_arguments "$@"
power_on ipmi
