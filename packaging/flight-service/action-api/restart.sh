#!/bin/bash
# Stops the server, if it runs, and starts it. Usage: restart.sh PIDFILE
set -euo pipefail
bash "${BASH_SOURCE[0]%/*}/stop.sh" "$1"
source "${BASH_SOURCE[0]%/*}/start.sh"
