#!/bin/bash
# Changes the machine type of a node in Azure, and leaves its power as it was.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/azure.sh"

change_machine_type azure "$@"
