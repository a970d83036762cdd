#!/bin/bash
# Cycles the power of a node in AWS.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

require_no_arguments "$@"
power_cycle aws
