#!/bin/bash
# Prints the system event log of a node's BMC (IPMI).
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ipmi.sh"

require_count "$@"
ipmi_open
ipmi_call sel list ${1:+last "$1"}
printf '%s\n' "${call_output:-no events}"
