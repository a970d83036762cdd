#!/bin/bash
# Powers a node in Azure off.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

require_no_arguments "$@"
power_off azure
