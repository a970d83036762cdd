# What the tests in shell check with, and count. They source it; `work` is their directory, whose logs tell of a failure.
# shellcheck shell=bash

passed=0 failed=0

# check NAME CONDITION..: the condition is a command. `about` goes before the name. Of a failure it shows `code`, `out` and `err`
# of the last run, and what the function `more` prints, where there are any.
check() {
  local what=${about-}$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok $what"
  else
    failed=$((failed + 1))
    echo "not ok $what"
    printf '# condition: %s\n# code %s\n' "$*" "${code-}"
    head -n 40 <<<"${out-}" | sed 's/^/# stdout: /'
    head -n 40 <<<"${err-}" | sed 's/^/# stderr: /'
    if declare -F more >/dev/null; then more; fi
  fi
}

# must NAME CONDITION..: a check without which the rest makes no sense
must() {
  local before=$failed
  check "$@"
  # shellcheck disable=SC2154  # of who sources it
  ((failed == before)) || { tail -n 30 "$work"/*.log | sed 's/^/# /'; exit 1; }
}

same() { [[ $1 == "$2" ]]; }
has() { [[ $1 == *"$2"* ]]; }
lacks() { [[ $1 != *"$2"* ]]; }
lines() { local IFS=$'\n'; echo "$*"; }

# until_true SECONDS CONDITION..
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.02
  done
}

# counted: the last line of a test, and whether nothing has failed
counted() {
  echo "$passed passed, $failed failed"
  ((failed == 0))
}
