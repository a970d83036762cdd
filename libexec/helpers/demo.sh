# The demo platform: simulated nodes, whose power state and machine type are files, and whose changes take a moment.
# shellcheck shell=bash
#
# Setting (script_environment of the server's settings):
#   DEMO_STATE_DIRECTORY  where the state is kept, an absolute path; made when it is not there
# Metadata of a node, all optional:
#   demo_power  its power state until a command changes it: ON (default) or OFF
#   demo_type   its machine type until a command changes it (default general-small)
#   demo_delay  seconds that a change of power takes, such as 0, 2 or 0.5 (default 1)
#
# DEMO_STATE_DIRECTORY/NODE holds
#   power   ON, OFF, or a change under way: "STOPPING OFF TIME" or "PENDING ON TIME", where TIME is when it will be over,
#           in microseconds. Like a real machine, a node finishes what was begun, even when the script that began it is gone.
#   type    the machine type
#   change  "TYPE POWER" while estate-change is at work: the type it changes to and the power state it will leave.
#           Still there afterwards: it was interrupted.
#   lock    held by the command that changes the node. Reading needs no lock, since every write is a rename.
. "$SCRIPT_ROOT/helpers/common.sh"
. "$SCRIPT_ROOT/helpers/estate.sh"

# demo_open: checks settings and metadata, and sets demo_directory and demo_microseconds for the functions below.
demo_open() {
  local delay=${demo_delay:-1} fraction reason
  if [[ ${DEMO_STATE_DIRECTORY-} != /* ]]; then
    fail 78 "DEMO_STATE_DIRECTORY is ${DEMO_STATE_DIRECTORY:-not set}, expected the absolute path of a directory for the demo nodes' state" \
      "add it to the server's settings (server.yaml), for example 'script_environment: {DEMO_STATE_DIRECTORY: /var/lib/action/demo}'"
  fi
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail 64 "'$name' is not a node name"
  [[ ${demo_power:-ON} =~ ^(ON|OFF)$ ]] || bad_metadata demo_power "ON or OFF"
  [[ $delay =~ ^([0-9]{0,6})(\.([0-9]+))?$ ]] || bad_metadata demo_delay "seconds, such as 2 or 0.5"
  fraction=${BASH_REMATCH[3]-}000000
  # 10#: a leading 0 would make it octal
  demo_microseconds=$((10#0${BASH_REMATCH[1]} * 1000000 + 10#${fraction:0:6}))

  demo_directory=${DEMO_STATE_DIRECTORY%/}/$name
  reason=$(mkdir -p -- "$demo_directory" 2>&1) || demo_unusable "$demo_directory" "$reason"
  [[ -r $demo_directory && -x $demo_directory ]] || demo_unusable "$demo_directory" "Permission denied"
}

# demo_unusable PATH REASON: the reason is a program's complaint, of which the last part is the system's.
demo_unusable() {
  fail 73 "cannot use $1: ${2##*: }" \
    "DEMO_STATE_DIRECTORY must be a directory that $(id -un) can write to (script_environment in the server's settings)"
}

# demo_lock: one command at a time may change a node. Descriptor 9 stays open, and locked, until the script ends.
demo_lock() {
  require_program flock
  { exec 9>>"$demo_directory/lock"; } 2>/dev/null || demo_unusable "$demo_directory/lock" "Permission denied"
  if ! flock --nonblock 9; then
    printf 'waiting for another command on %s\n' "$name"
    flock 9
  fi
  trap 'demo_interrupted TERM' TERM
  trap 'demo_interrupted INT' INT
  trap 'demo_interrupted HUP' HUP
}

# demo_interrupted SIGNAL: says where the node is left, then dies of the signal so that the server sees what happened.
demo_interrupted() {
  trap - TERM INT HUP
  demo_read_power
  demo_read_type
  error "$command interrupted: $name is $demo_state${demo_target:+ and goes on to $demo_target}, machine type $demo_machine"
  if demo_read_change; then
    hint "run 'estate-change $name $demo_wanted_type' again: it completes the change and leaves the node $demo_wanted_power"
  else
    hint "look with 'power-status $name', or run $command again"
  fi
  kill -s "$1" $$
}

# demo_read FILE: sets demo_line to the one line of a state file; returns 1 when there is no such file.
demo_read() {
  demo_line=''
  [[ -e $demo_directory/$1 ]] || return 1
  # an unreadable file and an empty one leave the line empty
  { read -r demo_line <"$demo_directory/$1" || true; } 2>/dev/null
  [[ -n $demo_line ]] || demo_damaged "$1"
}

demo_damaged() {
  fail 73 "cannot make sense of $demo_directory/$1" "remove this file to start again from the node's metadata"
}

# demo_write FILE LINE: the temporary file has a fixed name, since the lock admits one writer, so that a crash leaves
# one stray file at most, which the next write replaces.
demo_write() {
  local path=$demo_directory/$1 reason
  reason=$({ printf '%s\n' "$2" >"$path.new" && mv -f -- "$path.new" "$path"; } 2>&1) || demo_unusable "$path" "$reason"
}

# demo_now: sets demo_clock to the time in microseconds.
demo_now() {
  # without another program: one that is sent TERM with us would leave us without a time
  if [[ -n ${EPOCHREALTIME-} ]]; then
    demo_clock=${EPOCHREALTIME/[.,]/}
  else
    # bash before 5.0 knows whole seconds only
    printf -v demo_clock '%(%s)T000000' -1
  fi
}

# demo_read_power: sets demo_state to ON, OFF, PENDING or STOPPING, and for the last two demo_target and demo_until.
demo_read_power() {
  demo_read power || demo_line=${demo_power:-ON}
  [[ $demo_line =~ ^(ON|OFF|PENDING\ ON\ [0-9]+|STOPPING\ OFF\ [0-9]+)$ ]] || demo_damaged power
  read -r demo_state demo_target demo_until <<<"$demo_line"
  demo_now
  if [[ -n $demo_target ]] && ((demo_clock >= demo_until)); then
    demo_state=$demo_target demo_target=''
  fi
}

# demo_read_type: sets demo_machine to the machine type.
demo_read_type() {
  if demo_read type; then demo_machine=$demo_line; else demo_machine=${demo_type:-general-small}; fi
}

# demo_read_change: sets demo_wanted_type and demo_wanted_power; returns 1 when no change of type is under way.
demo_read_change() {
  demo_read change || return 1
  [[ $demo_line =~ ^([^ ]+)\ (ON|OFF)$ ]] || demo_damaged change
  demo_wanted_type=${BASH_REMATCH[1]} demo_wanted_power=${BASH_REMATCH[2]}
}

# demo_settle: waits for a change of power that an earlier command began; demo_state is ON or OFF afterwards.
demo_settle() {
  demo_read_power
  [[ -z $demo_target ]] || demo_finish
}

# demo_begin STATE TARGET
demo_begin() {
  demo_state=$1 demo_target=$2
  demo_now
  demo_until=$((demo_clock + demo_microseconds))
  demo_write power "$demo_state $demo_target $demo_until"
  demo_finish
}

# demo_finish: prints the states that the node goes through, each when it is reached.
demo_finish() {
  local left seconds
  printf '%s\n' "$demo_state"
  demo_now
  left=$((demo_until - demo_clock))
  # a clock that was set back would make this wait long
  ((left <= demo_microseconds)) || left=$demo_microseconds
  # printf -v: bash 5.2 may misread a trap that comes while it makes a $(..)
  printf -v seconds '%d.%06d' $((left / 1000000)) $((left % 1000000))
  ((left <= 0)) || pause "$seconds"
  demo_write power "$demo_target"
  demo_state=$demo_target demo_target=''
  printf '%s\n' "$demo_state"
}

# demo_want POWER: what a user asks for while an interrupted estate-change waits to be completed is what that one will leave.
demo_want() {
  demo_read_change || return 0
  demo_write change "$demo_wanted_type $1"
  hint "an estate-change was interrupted, run 'estate-change $name $demo_wanted_type' to complete it"
}

demo_power_on() {
  demo_settle
  if [[ $demo_state == ON ]]; then
    echo "already ON"
  else
    echo "powering on"
    demo_begin PENDING ON
  fi
}

demo_power_off() {
  demo_settle
  if [[ $demo_state == OFF ]]; then
    echo "already OFF"
  else
    echo "powering off"
    demo_begin STOPPING OFF
  fi
}

# demo_change_type TYPE: can be killed at any step and run again; the file 'change' remembers what is left to do.
demo_change_type() {
  local wanted=$1 power
  demo_read_type
  if demo_read_change; then
    power=$demo_wanted_power
    echo "completing an interrupted change, the power state to restore is $power"
  elif [[ $demo_machine == "$wanted" ]]; then
    echo "already $wanted"
    return 0
  else
    demo_settle
    power=$demo_state
  fi
  # also when it is there already: this change may be to another type than the interrupted one
  demo_write change "$wanted $power"
  if [[ $demo_machine != "$wanted" ]]; then
    echo "changing from $demo_machine to $wanted"
    demo_power_off
    demo_write type "$wanted"
    echo "changed to $wanted"
  fi
  demo_settle
  if [[ $demo_state == "$power" ]]; then
    echo "leaving it $power"
  elif [[ $power == ON ]]; then
    demo_power_on
  else
    demo_power_off
  fi
  rm -f -- "$demo_directory/change" 2>/dev/null || demo_unusable "$demo_directory/change" "cannot be removed"
}
