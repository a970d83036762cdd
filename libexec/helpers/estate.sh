# Machine types: which ones a platform has, and whether a type is one of them.
# shellcheck shell=bash
. "$SCRIPT_ROOT/helpers/common.sh"

# machine_types PLATFORM: prints its types in the order of the file.
machine_types() {
  local file="$SCRIPT_ROOT/helpers/machine-types" platform type _
  [[ -r $file ]] || fail 73 "cannot read $file" "restore it: it lists the machine types of each platform"
  while read -r platform type _ || [[ -n $platform ]]; do
    [[ $platform == "$1" && -n $type ]] && printf '%s\n' "$type"
  done <"$file"
  return 0
}

# is_line TEXT LINES: whether one of the lines is exactly the text.
is_line() {
  local line
  while read -r line; do
    [[ $line == "$1" ]] && return 0
  done <<<"$2"
  return 1
}

# require_machine_type PLATFORM "$@": stops unless there is one argument, a type that the platform has.
require_machine_type() {
  local platform=$1 problem types
  shift
  types=$(machine_types "$platform")
  case $# in
    0) problem="the machine type is missing" ;;
    1) problem="unknown machine type '$1'" ;;
    *) problem="unexpected argument '$2'" ;;
  esac
  if (($# != 1)) || ! is_line "$1" "$types"; then
    fail 64 "$problem" "possible on $platform: ${types//$'\n'/ }"
  fi
}

# print_machine_type PLATFORM TYPE: also for a machine that got its type from someone else.
print_machine_type() {
  local types
  types=$(machine_types "$1")
  if is_line "$2" "$types"; then printf '%s\n' "$2"; else printf 'unknown (%s)\n' "$2"; fi
}
