# Running a program on the node over ssh, without ever waiting for a person.
# shellcheck shell=bash
. "$SCRIPT_ROOT/helpers/common.sh"

# on_node PROGRAM [ARGUMENT]..: as with ssh itself, the node's shell splits the words again.
# Returns the program's exit code, or 255 when ssh itself failed.
# Extra options come from ssh_options (metadata of the node, or script_environment), split at white space.
on_node() {
  local -a options=()
  local code=0
  require_program ssh
  # not an unquoted expansion: that would also expand * and ? to file names
  read -r -d '' -a options <<<"${ssh_options-}" || true
  if ((${#options[@]})) && [[ ${options[0]} != -* ]]; then
    fail 78 "ssh_options is '$ssh_options', expected options of ssh" "for example 'ssh_options: \"-p 2222 -l admin\"' (one text, not a list)"
  fi
  # ssh takes the first value it gets of an option, so that ssh_options can change any of ours
  ssh "${options[@]}" -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
    -- "$name" "$@" </dev/null || code=$?
  if ((code == 255)); then
    error "no ssh connection to $name"
    hint "try 'ssh -o BatchMode=yes $name' on the server as $(id -un); options can be added with ssh_options"
  elif ((code)); then
    error "'$*' on $name ended with code $code"
  fi
  return "$code"
}
