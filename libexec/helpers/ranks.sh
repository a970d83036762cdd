# What the default script of a command says that works on certain ranks only.
# shellcheck shell=bash
. "$SCRIPT_ROOT/helpers/common.sh"

# ranks_of COMMAND: prints the ranks that the command has scripts for. Read from its directory, so that it cannot drift.
ranks_of() {
  local path file
  for path in "$SCRIPT_ROOT/$1"/*.*; do
    file=${path##*/}
    [[ -f $path && -x $path && ${file%.*} != default ]] && printf '%s\n' "${file%.*}"
  done
  return 0
}

# no_script_for_node: stops, saying which ranks would work and where a node's ranks are set.
no_script_for_node() {
  local found
  local -a ranks
  # Not < <(..): bash does not wait for that process, and what outlives a script is reported as left over
  found=$(ranks_of "$command")
  mapfile -t ranks <<<"$found"
  if [[ -z $found ]]; then
    fail 78 "$command cannot run on $name: it has no script for any rank yet" \
      "add an executable script RANK.sh to $SCRIPT_ROOT/$command"
  fi
  fail 78 "$command cannot run on $name: the node has no rank that $command has a script for" \
    "$command has scripts for these ranks: ${ranks[*]}" \
    "set one in the nodes file (nodes_config_path in the server's settings), for example '$name: {ranks: [${ranks[0]}]}'"
}
