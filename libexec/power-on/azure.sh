#!/bin/bash
# Powers a node in Azure on.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

require_no_arguments "$@"
power_on azure
