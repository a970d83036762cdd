#!/bin/bash
# Prints the power state of a node in Azure.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

require_no_arguments "$@"
power_status azure
