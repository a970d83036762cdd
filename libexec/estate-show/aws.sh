#!/bin/bash
# Prints the machine type of a node in AWS.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

require_no_arguments "$@"
show_machine_type aws
