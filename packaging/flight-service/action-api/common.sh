# shellcheck shell=bash
# What the scripts of this type share: where things are, and which process is the server. Sourced by each of them.
#
# flight-service sets flight_ROOT, and what stands in its env_dir under action-api: the ACTION_ variables are for that file.

root=${flight_ROOT:?not set: these scripts are run by flight-service}
server=${ACTION_PROGRAM:-$root/opt/action/bin/action-server}
[[ -x $server ]] || server=$(command -v action-server || echo "$server")
settings=${ACTION_SERVER_CONFIG:-$root/etc/action/server.yaml}
# shellcheck disable=SC2034  # start.sh uses it
log=${ACTION_LOG:-$root/var/log/action-api/action-server.log}

# fail TEXT: flight-service shows it, and the operation has failed
fail() {
  tool_err "$1"
  exit 1
}

# is_server PID: the number may be another's since. A process that has ended and was not waited for has no command line.
is_server() {
  local line
  line=$(tr '\0' ' ' 2>/dev/null <"/proc/${1:-none}/cmdline") || return 1
  [[ $line == *"serve --config $settings "* ]]
}

# server_of PIDFILE: prints the server's process id, if it runs
server_of() {
  local pid
  read -r pid <"$1" 2>/dev/null || [[ ${pid:-} ]] || return 1
  is_server "$pid" && echo "$pid"
}
