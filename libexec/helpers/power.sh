# What the power commands do on every platform but demo. They return when the platform has accepted.
# shellcheck shell=bash
#
# Whether the state that was asked for is reached is told by power-status, which prints the same words on every platform.
#
# helpers/PLATFORM.sh has for this
#   PLATFORM_open                checks programs and metadata
#   PLATFORM_read                asks the platform, and sets power_state to ON, OFF, PENDING (on its way to ON), STOPPING (on its
#                                way to OFF), SLEEPING or UNKNOWN, and power_word to what the platform itself calls it
#   PLATFORM_power on|off|cycle  asks for a change, and returns when it is accepted
# and where it has machine types, what helpers/change.sh needs.
. "$SCRIPT_ROOT/helpers/call.sh"

# power_status PLATFORM
power_status() {
  # what the platform does not tell is a state too; the codes are those of call
  trap '(($? < 75 || $? > 77)) || echo UNKNOWN' EXIT
  "$1_open"
  "$1_read"
  # the exit_codes of metadata.yaml make 123 and 124 answers instead of failures
  case $power_state in
    UNKNOWN) fail 76 "$1 says that $name is '$power_word'" ;;
    OFF | STOPPING) echo "$power_state" && exit 123 ;;
    SLEEPING) echo "$power_state" && exit 124 ;;
    *) echo "$power_state" ;;
  esac
}

# power_on PLATFORM
power_on() {
  power_begin "$1" ON
  case $power_state in
    ON | PENDING) echo "already $power_state" ;;
    *)
      power_settle "$1"
      echo "powering on"
      "$1_power" on
      ;;
  esac
}

# power_off PLATFORM
power_off() {
  power_begin "$1" OFF
  case $power_state in
    OFF | STOPPING) echo "already $power_state" ;;
    *)
      power_settle "$1"
      echo "powering off"
      "$1_power" off
      ;;
  esac
}

# power_cycle PLATFORM
power_cycle() {
  power_begin "$1" ON
  power_settle "$1"
  if [[ $power_state == ON ]]; then
    echo "power cycling"
    "$1_power" cycle
  else
    echo "already $power_state, powering on"
    "$1_power" on
  fi
}

# power_begin PLATFORM POWER: what is asked for while an interrupted estate-change waits to be completed is what that will leave.
power_begin() {
  "$1_open"
  "$1_read"
  [[ $power_state != UNKNOWN ]] || fail 76 "$1 says that $name is '$power_word': $command can do nothing about that"
  if [[ -n ${node_change-} ]]; then
    change_known "$1"
    "$1_mark" "${node_change%:*}:$2"
    hint "an estate-change was interrupted, run 'estate-change $name ${node_change%:*}' to complete it"
  fi
}

# power_settle PLATFORM: platforms refuse a change while another is under way: prints the states until it is over.
power_settle() {
  while [[ $power_state == PENDING || $power_state == STOPPING ]]; do
    power_print
    pause "${platform_poll:-5}"
    "$1_read"
  done
}

# power_print: prints the state when it is another than the one printed last.
power_print() {
  [[ $power_state == "${power_printed-}" ]] || echo "$power_state"
  power_printed=$power_state
}

# power_wait PLATFORM WANTED ON_THE_WAY: prints the states until it is the one wanted. A node that was on its way, and now is in
# neither, has fallen back.
power_wait() {
  local moved=''
  while "$1_read" && power_print && [[ $power_state != "$2" ]]; do
    [[ $power_state != "$3" ]] || moved=1
    if [[ $power_state == UNKNOWN || ( -n $moved && $power_state != "$3" ) ]]; then
      fail 76 "$name is $power_state instead of $2" "$1 calls it '$power_word'"
    fi
    pause "${platform_poll:-5}"
  done
}
