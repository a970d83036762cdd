#!/bin/bash
# Cycles the power of a node, by its BMC (IPMI).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ipmi.sh"

require_no_arguments "$@"
power_cycle ipmi
