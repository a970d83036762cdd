# The platform Redfish: a node's BMC over HTTPS, by curl and jq.
# shellcheck shell=bash
#
# Metadata of a node: redfish_username and redfish_password, which belongs under __secret__; all else is optional
#   redfish_url      where the BMC is (default https://NAME.bmc)
#   redfish_system   the path of the node's system, for a BMC that has several (default: the only one that it lists)
#   redfish_ca       a file with the certificates (PEM) to trust (default: the system's)
#   redfish_verify   false takes any certificate, and so gives the password to whoever answers
#   redfish_timeout  seconds for each answer (default 10)
#   power_off_mode   hard (default), or soft, which asks the operating system
. "$SCRIPT_ROOT/helpers/power.sh"

redfish_open() {
  require_program curl jq
  require_metadata redfish_username redfish_password
  check_metadata redfish_url 'https?://[^/?#@]+/?' "a URL without a path, such as https://$name.bmc"
  check_metadata redfish_system '/redfish/v1/.+' "a path, such as /redfish/v1/Systems/1"
  check_metadata redfish_verify 'true|false|yes|no' "true or false"
  check_metadata redfish_timeout '[1-9][0-9]{0,2}' "seconds, from 1 to 999"
  check_metadata power_off_mode 'hard|soft' "hard or soft"
  call_open
  redfish_base=${redfish_url:-https://$name.bmc}
  redfish_base=${redfish_base%/}
}

# redfish_call METHOD PATH [JSON]
redfish_call() {
  call redfish redfish_request "$@"
}

# redfish_request METHOD PATH [JSON]: prints the answer; its complaint is "HTTP STATUS: TEXT", or curl's.
redfish_request() {
  local answer status
  local -a options=(--silent --show-error --globoff --noproxy '*' --max-time "${redfish_timeout:-10}" --request "$1"
    --header 'Accept: application/json' --write-out '\n%{http_code}')
  [[ -z ${redfish_ca-} ]] || options+=(--cacert "$redfish_ca")
  [[ ! ${redfish_verify-} =~ ^(false|no)$ ]] || options+=(--insecure)
  (($# < 3)) || options+=(--header 'Content-Type: application/json' --data "$3")
  answer=$(redfish_login | curl --config - "${options[@]}" -- "$redfish_base$2") || return
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  if ((10#$status >= 400)); then
    printf 'HTTP %s: %s\n' "$status" \
      "$(jq -r '[.error | (.["@Message.ExtendedInfo"]? // [])[0].Message?, .message?] | map(strings)[0] // empty' <<<"$answer" 2>/dev/null)" >&2
    return 1
  fi
  printf '%s' "$answer"
}

# redfish_login: through a pipe, since whoever is on the server sees the arguments of all processes.
redfish_login() {
  local login=$redfish_username:$redfish_password
  login=${login//\\/\\\\}
  printf 'user = "%s"\n' "${login//\"/\\\"}"
}

redfish_complaint() {
  first_line "$call_error"
  case $call_reason in
    "HTTP 429:"* | "HTTP 503:"*) call_kind=busy ;;
    "HTTP 401:"* | "HTTP 403:"*) call_kind=login call_hint="look at redfish_username and redfish_password of '$name:' in the nodes file" ;;
    "HTTP "*) ;;
    curl:*) call_kind=away call_hint="is $redfish_base (redfish_url) its BMC? redfish_ca or redfish_verify say which certificate to trust" ;;
  esac
}

# redfish_answer FILTER: prints what jq finds in the answer.
redfish_answer() {
  jq -r "$1" <<<"$call_output" 2>/dev/null || fail 76 "redfish, for $name: the answer of $redfish_base is not what the standard says"
}

redfish_find_system() {
  local members
  redfish_path=${redfish_system-}
  [[ -z $redfish_path ]] || return 0
  redfish_call GET /redfish/v1/Systems
  members=$(redfish_answer '.Members[]["@odata.id"]')
  [[ $members == /* && $members != *$'\n'* ]] ||
    fail 78 "node $name has no metadata 'redfish_system', and its BMC does not have one system only" \
      "add 'redfish_system: PATH' to '$name:' in the nodes file; it has: ${members//$'\n'/ }"
  redfish_path=$members
}

redfish_read() {
  [[ -n ${redfish_path-} ]] || redfish_find_system
  redfish_call GET "$redfish_path"
  power_word=$(redfish_answer '.PowerState')
  redfish_resets=$(redfish_answer '.Actions["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] // [] | join(" ")')
  redfish_target=$(redfish_answer '.Actions["#ComputerSystem.Reset"].target // empty')
  case $power_word in
    On) power_state=ON ;;
    Off) power_state=OFF ;;
    PoweringOn) power_state=PENDING ;;
    PoweringOff) power_state=STOPPING ;;
    Paused) power_state=SLEEPING ;;
    *) power_state=UNKNOWN ;;
  esac
}

redfish_power() {
  local reset
  case $1 in
    on) reset=On ;;
    cycle) reset=ForceRestart ;;
    off) if [[ ${power_off_mode:-hard} == soft ]]; then reset=GracefulShutdown; else reset=ForceOff; fi ;;
  esac
  [[ -z $redfish_resets || " $redfish_resets " == *" $reset "* ]] ||
    fail 76 "the BMC of $name cannot do $reset" "it can do: $redfish_resets"
  redfish_call POST "${redfish_target:-$redfish_path/Actions/ComputerSystem.Reset}" "{\"ResetType\": \"$reset\"}"
}
