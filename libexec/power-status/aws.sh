#!/bin/bash
# Prints the power state of a node in AWS.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

require_no_arguments "$@"
power_status aws
