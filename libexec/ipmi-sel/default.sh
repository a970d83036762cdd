#!/bin/bash
# Says which ranks this command has scripts for: it runs on nodes that have none of them.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/ranks.sh"

no_script_for_node
