# Machine types: which ones a platform has, and what it calls them.
# shellcheck shell=bash
. "$SCRIPT_ROOT/helpers/common.sh"

# machine_types PLATFORM: prints "TYPE NAME" for each of its types, in the order of the file.
machine_types() {
  local file="$SCRIPT_ROOT/helpers/machine-types" platform type word _
  [[ -r $file ]] || fail 73 "cannot read $file" "restore it: it lists the machine types of each platform"
  while read -r platform type word _ || [[ -n $platform ]]; do
    [[ $platform == "$1" && -n $type ]] && printf '%s %s\n' "$type" "${word:-$type}"
  done <"$file"
  return 0
}

# machine_name PLATFORM TYPE: sets machine to what the platform calls the type; returns 1 when it has no such type.
# shellcheck disable=SC2034  # the platforms use it
machine_name() {
  local types type
  types=$(machine_types "$1")
  while read -r type machine; do
    [[ $type == "$2" ]] && return 0
  done <<<"$types"
  return 1
}

# require_machine_type PLATFORM "$@": stops unless there is one argument, a type that the platform has. Sets machine.
require_machine_type() {
  local platform=$1 problem types
  shift
  case $# in
    0) problem="the machine type is missing" ;;
    1) problem="unknown machine type '$1'" ;;
    *) problem="unexpected argument '$2'" ;;
  esac
  # not within a condition: a failure in there must end the script
  types=$(machine_types "$platform" | cut -d ' ' -f 1)
  if (($# != 1)) || ! machine_name "$platform" "$1"; then
    fail 64 "$problem" "possible on $platform: ${types//$'\n'/ }"
  fi
}

# print_machine_type PLATFORM NAME: NAME is the platform's. Also for a machine that got its type from someone else.
print_machine_type() {
  local types type word
  types=$(machine_types "$1")
  while read -r type word; do
    [[ $word == "$2" ]] && printf '%s\n' "$type" && return 0
  done <<<"$types"
  printf 'unknown (%s)\n' "$2"
}
