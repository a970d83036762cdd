#!/bin/bash
# Cycles the power of a node in Azure.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

require_no_arguments "$@"
power_cycle azure
