# estate-show and estate-change on every platform but demo.
# shellcheck shell=bash
#
# helpers/PLATFORM.sh has for this, beside what helpers/power.sh needs
#   PLATFORM_read            sets node_machine too, the platform's name of the machine type, and node_change, the mark or ''
#   PLATFORM_mark MARK       writes the mark to a tag of the node on the platform, under the name in change_tag
#   PLATFORM_unmark          removes it
#   PLATFORM_offers MACHINE  returns 1 when the node cannot be made one, and sets offered to the platform's names of those it can
#   PLATFORM_retype MACHINE  changes the type of a node that is OFF
#
# The mark is "TYPE:POWER", the wanted type and the power state to leave. It is set before anything is touched and removed
# last, and it is on the platform: whatever is killed in between, the next estate-change of any server finds it, and does
# what is left to do. So power must be restored from the mark alone: what a node is meanwhile says nothing.
. "$SCRIPT_ROOT/helpers/power.sh"
. "$SCRIPT_ROOT/helpers/estate.sh"

# shellcheck disable=SC2034  # the platforms use it
change_tag=action-estate-change

# show_machine_type PLATFORM
show_machine_type() {
  "$1_open"
  "$1_read"
  print_machine_type "$1" "$node_machine"
  [[ -z $node_change ]] ||
    hint "an estate-change of $name to ${node_change%:*} was interrupted, or is under way: 'estate-change $name ${node_change%:*}' completes it"
}

# change_machine_type PLATFORM "$@"
change_machine_type() {
  local platform=$1
  shift
  require_machine_type "$platform" "$@"
  change_type=$1 change_power=''
  trap 'change_interrupted TERM' TERM
  trap 'change_interrupted INT' INT
  trap 'change_interrupted HUP' HUP
  trap 'change_failed' EXIT
  "${platform}_open"
  "${platform}_read"
  if [[ -z $node_change && $node_machine == "$machine" ]]; then
    echo "already $change_type"
    return 0
  fi
  [[ -z $node_change ]] || change_known "$platform"
  change_check "$platform"
  power_settle "$platform"
  [[ $power_state =~ ^(ON|OFF)$ ]] || fail 76 "$name is $power_state: its machine type can be changed when it is ON or OFF only"
  if [[ -n $node_change ]]; then
    change_power=${node_change##*:}
    echo "completing an interrupted change, the power state to restore is $change_power"
  else
    change_power=$power_state
  fi
  "${platform}_mark" "$change_type:$change_power"
  [[ $node_machine == "$machine" ]] || change_machine "$platform"
  change_restore "$platform"
  "${platform}_unmark"
  change_power=''
}

# change_known PLATFORM: stops when the mark is not one of ours.
change_known() {
  [[ $node_change =~ ^[^:]+:(ON|OFF)$ ]] ||
    fail 78 "$1 has $name tagged with $change_tag '$node_change', expected TYPE:ON or TYPE:OFF" "correct or remove the tag"
}

# change_check PLATFORM: a node must not be powered off for a type that it cannot have.
change_check() {
  local types type word possible=''
  [[ $node_machine != "$machine" ]] || return 0
  "$1_offers" "$machine" && return 0
  types=$(machine_types "$1")
  while read -r type word; do
    [[ " $offered " != *" $word "* ]] || possible+=" $type"
  done <<<"$types"
  fail 64 "$name cannot be $change_type: $1 does not offer $machine for it" "possible for $name:${possible:- none}"
}

# change_machine PLATFORM: from one type to the other, by way of OFF.
change_machine() {
  echo "changing from $(print_machine_type "$1" "$node_machine") to $change_type"
  if [[ $power_state == ON ]]; then
    echo "powering off"
    "$1_power" off
    power_wait "$1" OFF STOPPING
  fi
  "$1_retype" "$machine"
  echo "changed to $change_type"
}

# change_restore PLATFORM: the mark is read once more, for power-on and power-off change it.
change_restore() {
  "$1_read"
  power_settle "$1"
  if [[ -n $node_change ]]; then
    change_known "$1"
    change_power=${node_change##*:}
  fi
  if [[ $power_state == "$change_power" ]]; then
    echo "leaving it $change_power"
  elif [[ $change_power == ON ]]; then
    echo "powering on"
    "$1_power" on
    power_wait "$1" ON PENDING
  else
    echo "powering off"
    "$1_power" off
    power_wait "$1" OFF STOPPING
  fi
}

# change_interrupted SIGNAL: says how to go on, then dies of the signal so that the server sees what happened.
change_interrupted() {
  trap - TERM INT HUP EXIT
  error "estate-change of $name to $change_type interrupted"
  change_recovery
  kill -s "$1" $$
}

# change_failed: after the message of what failed.
change_failed() {
  # shellcheck disable=SC2181  # of the script, in its trap
  (($? == 0)) || [[ -z $change_power ]] || change_recovery
}

change_recovery() {
  if [[ -z $change_power ]]; then
    hint "nothing was changed"
  else
    hint "run 'estate-change $name $change_type' again: it completes the change and leaves the node $change_power (another type does as well)"
  fi
}
