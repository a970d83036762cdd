#!/bin/bash
# Shows what a script gets and gives: copy this directory to start a command of your own.

# -e: a command that fails ends the script; -u: so does a variable that is not set
set -euo pipefail

# SCRIPT_ROOT is the directory of all commands, and helpers/ in it is for what several scripts share
. "$SCRIPT_ROOT/helpers/common.sh"

# The node's metadata arrives as variables of the same name and case. Give a default where a node may lack it, or stop with
# a message that names node and key: require_metadata sample_greeting
greeting=${sample_greeting:-hello}

# The node is $name; the arguments are what the user typed after it
code=${1:-0}
if ! [[ $code =~ ^[0-9]{1,3}$ ]] || ((10#$code > 255)); then
  fail 64 "CODE is '$code', expected a number up to 255"
fi

# stdout is for answers. Quotes keep a value with spaces in one piece
echo "$greeting from $name"
echo "arguments: $#"
for argument in "$@"; do
  printf '  %s\n' "$argument"
done

# stderr is for messages, and stays apart all the way to the user's terminal
echo "run $run_id of $command, asked for by $request_username" >&2

# Output is sent on as it is printed, and a TERM comes when the run is cancelled. stdin is empty: a script cannot ask

# 0 is success and any other code a failure, except those that exit_codes in metadata.yaml declares to be an answer
exit "$((10#$code))"
