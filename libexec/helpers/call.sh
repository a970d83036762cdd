# Calling a platform through its program: once more when the platform has no time, and one message when it says no.
# shellcheck shell=bash
#
# Settings, all optional (metadata of a node, or script_environment for all):
#   platform_attempts  how often a call is tried while the platform says that it is busy (default 6)
#   platform_backoff   seconds before the second try, such as 1 or 0.2; doubled each time (default 1)
#   platform_poll      seconds between two looks at a node that is on its way to a state (default 5)
. "$SCRIPT_ROOT/helpers/common.sh"

# call_open: checks the settings. What a program writes to stderr goes through a pipe of our own, which takes 64 KiB.
call_open() {
  check_metadata platform_attempts '[1-9][0-9]?' "a number from 1 to 99"
  check_metadata platform_backoff '[0-9]{1,4}(\.[0-9]{1,3})?' "seconds, such as 1 or 0.2"
  check_metadata platform_poll '[0-9]{1,4}(\.[0-9]{1,3})?' "seconds, such as 5 or 0.2"
  exec {call_pipe}<> <(:)
}

# call PLATFORM PROGRAM [ARG]..: sets call_output to what it prints, without the last newline.
# When it fails, PLATFORM_complaint reads call_error and sets call_kind and call_reason, one line:
#   busy   asked too often, or at work on this node: tried again
#   away   no answer, or no capacity: 75     login  it does not take our credentials: 77     else refused: 76
# shellcheck disable=SC2034  # the platforms use what it sets
call() {
  local platform=$1 attempt=0 code
  shift
  while :; do
    attempt=$((attempt + 1)) code=0
    call_output=$("$@" 2>&"$call_pipe" </dev/null) || code=$?
    printf '\0' >&"$call_pipe"
    IFS= read -r -d '' -u "$call_pipe" call_error
    ((code)) || return 0
    call_kind=refused call_reason='' call_hint=''
    "${platform}_complaint"
    call_reason=${call_reason:-the program ended with code $code}
    if [[ $call_kind != busy ]] || ((attempt >= ${platform_attempts:-6})); then break; fi
    call_wait "$platform" "$attempt"
  done
  case $call_kind in
    busy) fail 75 "$platform is busy, and was after $attempt attempts: $call_reason" "try $command again later" ;;
    away) fail 75 "$platform, for $name: $call_reason" "${call_hint:-try $command again later}" ;;
    login) fail 77 "$platform, for $name: $call_reason" "${call_hint:-look at the credentials that the server has for $platform}" ;;
    *) fail 76 "$platform refuses, for $name: $call_reason" ${call_hint:+"$call_hint"} ;;
  esac
}

# call_wait PLATFORM ATTEMPT: each wait is twice as long as the one before, less up to a half of it by chance, so that
# nodes that were turned away together do not come back together.
call_wait() {
  local whole fraction wait exponent=$(($2 - 1))
  IFS=. read -r whole fraction <<<"${platform_backoff:-1}"
  fraction=${fraction-}000
  wait=$(((10#$whole * 1000 + 10#${fraction:0:3}) << (exponent < 15 ? exponent : 15)))
  ((wait <= 30000)) || wait=30000
  wait=$((wait - wait * (RANDOM % 500) / 1000))
  printf -v wait '%d.%03d' $((wait / 1000)) $((wait % 1000))
  printf '%s is busy (%s): attempt %d of %d in %s s\n' "$1" "$call_reason" $(($2 + 1)) "${platform_attempts:-6}" "$wait" >&2
  pause "$wait"
}

# first_line TEXT: sets call_reason to the first line that says something.
first_line() {
  local line
  while read -r line; do
    [[ -z $line ]] || break
  done <<<"$1"
  call_reason=$line
}
