# Messages and checks that every command may use.
# shellcheck shell=bash
#
# Exit codes, as sysexits.h has them, so that a script's caller can tell whose turn it is to act:
#   64  the user: wrong arguments
#   69  the admin: a program that the script needs is not installed on the server
#   73  the admin: a file or directory cannot be used
#   75  the platform: no answer, or no time or capacity now. Worth trying again
#   76  the platform: it refuses what was asked
#   77  the platform: it refuses who asked, so the admin: credentials or rights
#   78  the admin: a setting or the node's metadata is missing or wrong
# Codes 123 and 124 are answers (OFF and SLEEPING), see the exit_codes of power-status.

# Messages are fragments in lower case: what is wrong, then what to do about it.
error() { printf 'error: %s\n' "$*" >&2; }
hint() { printf 'hint: %s\n' "$*" >&2; }

# fail CODE MESSAGE [HINT]..
fail() {
  local code=$1 line
  error "$2"
  shift 2
  for line in "$@"; do hint "$line"; done
  exit "$code"
}

# require_metadata KEY..: stops when the node has no such metadata, or has it empty (as a YAML null is).
require_metadata() {
  local key
  for key in "$@"; do
    [[ -n ${!key-} ]] || fail 78 "node $name has no metadata '$key', which $command needs" \
      "add '$key: VALUE' to '$name:' in the nodes file (nodes_config_path in the server's settings)"
  done
}

# bad_metadata KEY EXPECTED: stops because the node's metadata has a value that cannot be used.
bad_metadata() {
  fail 78 "node $name has '$1: ${!1}', expected $2" \
    "correct '$1' of '$name:' in the nodes file (nodes_config_path in the server's settings)"
}

# check_metadata KEY PATTERN EXPECTED: stops when the node has such metadata and it is not of the pattern.
check_metadata() {
  [[ -z ${!1-} || ${!1} =~ ^($2)$ ]] || bad_metadata "$1" "$3"
}

# require_no_arguments "$@": for commands that take the node alone. A word too many is more often a mistake than noise.
require_no_arguments() {
  (($# == 0)) || fail 64 "unexpected argument '$1'" "$command takes no argument beside the node"
}

# require_count "$@": for commands that take a number beside the node, or nothing.
require_count() {
  (($# <= 1)) || fail 64 "unexpected argument '$2'" "$command takes one number, or nothing"
  [[ $# == 0 || $1 =~ ^[1-9][0-9]{0,5}$ ]] || fail 64 "COUNT is '$1', expected a number from 1"
}

# require_program PROGRAM..: the search path is the one the server gives to scripts, not the admin's own.
require_program() {
  local program
  for program in "$@"; do
    command -v -- "$program" >/dev/null || fail 69 "$program is not installed on the server, or not in PATH" "PATH is $PATH"
  done
}

# pause SECONDS: reads from a pipe that stays empty. Of a sleep that was sent TERM with us, bash would print "Terminated",
# and one that outlived us would hold what we hold.
pause() {
  # some versions of read -t expect the decimal point of the locale
  local LC_ALL=C
  read -r -t "$1" <> <(:) || true
}
