# The platform IPMI: a node's BMC over the network (RMCP+), by ipmitool.
# shellcheck shell=bash
#
# Metadata of a node: ipmi_username and ipmi_password, which belongs under __secret__; all else is optional
#   ipmi_host           the BMC (default NAME.bmc)
#   ipmi_port           default 623
#   ipmi_password_file  a file with the password, in place of ipmi_password
#   ipmi_cipher_suite   such as 3 or 17 (default: ipmitool asks the BMC, which some do not answer)
#   ipmi_privilege      USER, OPERATOR or ADMINISTRATOR (default: ipmitool's, ADMINISTRATOR)
#   ipmi_timeout        seconds to wait for one answer, before asking again (default 1)
#   ipmi_retries        how often it is asked again (default 3)
#   power_off_mode      hard (default), or soft, which asks the operating system
. "$SCRIPT_ROOT/helpers/power.sh"

ipmi_open() {
  require_program ipmitool
  require_metadata ipmi_username
  [[ -n ${ipmi_password_file-} ]] || require_metadata ipmi_password
  check_metadata ipmi_host '[^-].*' "the name or address of a BMC"
  check_metadata ipmi_port '[0-9]{1,5}' "a UDP port"
  check_metadata ipmi_cipher_suite '[0-9]{1,2}' "a cipher suite, such as 3 or 17"
  check_metadata ipmi_privilege 'USER|OPERATOR|ADMINISTRATOR' "USER, OPERATOR or ADMINISTRATOR"
  check_metadata ipmi_timeout '[1-9][0-9]?' "seconds, from 1 to 99"
  check_metadata ipmi_retries '[1-9][0-9]?' "a number from 1 to 99"
  check_metadata power_off_mode 'hard|soft' "hard or soft"
  call_open
  ipmi_options=(-I lanplus -H "${ipmi_host:-$name.bmc}" -p "${ipmi_port:-623}" -U "$ipmi_username"
    -N "${ipmi_timeout:-1}" -R "${ipmi_retries:-3}")
  # never -P: whoever is on the server sees the arguments of all processes
  if [[ -n ${ipmi_password_file-} ]]; then
    [[ -r $ipmi_password_file ]] || fail 78 "node $name has ipmi_password_file '$ipmi_password_file', which $(id -un) cannot read"
    ipmi_options+=(-f "$ipmi_password_file")
  else
    export IPMITOOL_PASSWORD=$ipmi_password
    ipmi_options+=(-E)
  fi
  [[ -z ${ipmi_cipher_suite-} ]] || ipmi_options+=(-C "$ipmi_cipher_suite")
  [[ -z ${ipmi_privilege-} ]] || ipmi_options+=(-L "$ipmi_privilege")
}

ipmi_call() {
  call ipmi ipmitool "${ipmi_options[@]}" "$@"
}

ipmi_complaint() {
  local line
  # the last line, unless one before it, which it has of -v, tells why
  while read -r line; do
    [[ -z $line || $call_reason == *RAKP* || $call_reason == *"response message"* ]] || call_reason=${line#> }
  done <<<"$call_error"
  case $call_error in
    *"Node busy"* | *"node busy"* | *"insufficient resources"*) call_kind=busy ;;
    *HMAC* | *[Uu]nauthorized* | *"assword"* | *"rivilege"*) call_kind=login call_hint="look at ipmi_username and ipmi_password of '$name:' in the nodes file" ;;
    *"authentication algorithm"*) call_hint="its BMC does not take ipmi_cipher_suite ${ipmi_cipher_suite-}" ;;
    *"nable to establish"* | *"ddress lookup"* | *"No response"* | *timeout* | *"Get Session"* | *"Could not open socket"*)
      call_kind=away
      call_hint="is ${ipmi_host:-$name.bmc} (ipmi_host), UDP port ${ipmi_port:-623}, its BMC, and does it take ipmi_cipher_suite?"
      ;;
  esac
}

ipmi_read() {
  ipmi_call -v chassis power status
  power_word=${call_output##* }
  case $power_word in
    on) power_state=ON ;;
    off) power_state=OFF ;;
    *) power_state=UNKNOWN ;;
  esac
}

ipmi_power() {
  local change=$1
  [[ $change != off || ${power_off_mode:-hard} != soft ]] || change=soft
  ipmi_call -v chassis power "$change"
}
