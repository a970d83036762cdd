#!/bin/bash
# Prints the machine type of a node in Azure.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

require_no_arguments "$@"
show_machine_type azure
