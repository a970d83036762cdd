#!/bin/bash
# Powers a node in AWS off.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

require_no_arguments "$@"
power_off aws
