#!/bin/bash
# Changes the machine type of a node in AWS, and leaves its power as it was.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/aws.sh"

change_machine_type aws "$@"
