#!/bin/bash
# Powers a node in AWS on.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

require_no_arguments "$@"
power_on aws
