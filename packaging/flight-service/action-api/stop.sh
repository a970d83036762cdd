#!/bin/bash
# Stops the server: it takes no new runs, waits for those that go on, and then ends them. Usage: stop.sh PIDFILE
set -euo pipefail
# shellcheck source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

pid=$(server_of "$1") || exit 0
tool_stage 'Waiting for the runs that go on'
kill "$pid"
# The server itself ends the wait, after its drain_timeout. To cut it short: kill PID, once more.
while is_server "$pid"; do
  sleep 0.2
done
