#!/bin/bash
# Prints the system event log of a node's BMC (Redfish): the log service that is called SEL, or else the system's first.
set -euo pipefail
. "$SCRIPT_ROOT/helpers/redfish.sh"

require_count "$@"
redfish_open
redfish_find_system
redfish_call GET "$redfish_path/LogServices"
services=$(redfish_answer '.Members[]["@odata.id"]')
[[ -n $services ]] || fail 76 "the BMC of $name keeps no log of its system"
service=${services%%$'\n'*}
while read -r path; do
  [[ ${path##*/} != [Ss][Ee][Ll] ]] || service=$path
done <<<"$services"

# a long log comes in pages
events=() next=$service/Entries
while [[ -n $next ]]; do
  redfish_call GET "$next"
  page=$(redfish_answer '.Members[] | [.Id, .Created, .Severity, .Message] | map(. // "" | tostring) | join(" | ")')
  while read -r event; do
    [[ -z $event ]] || events+=("$event")
  done <<<"$page"
  next=$(redfish_answer '.["Members@odata.nextLink"] // empty')
done
count=${1:-${#events[@]}}
((count <= ${#events[@]})) || count=${#events[@]}
if ((${#events[@]})); then printf '%s\n' "${events[@]: -$count}"; else echo "no events"; fi
