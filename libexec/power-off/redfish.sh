#!/bin/bash
# Powers a node off, by its BMC (Redfish).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/redfish.sh"

require_no_arguments "$@"
power_off redfish
