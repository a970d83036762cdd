#!/bin/bash
# Cycles the power of a node, by its BMC (Redfish).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/redfish.sh"

require_no_arguments "$@"
power_cycle redfish
