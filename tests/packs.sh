#!/bin/bash
# Tests the commands in libexec/ by running their scripts as the server does, in a new process group and a bare environment.
# Usage: tests/packs.sh [LIBEXEC]
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
source=$(cd "${1:-libexec}" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf -- "$work"' EXIT
# a copy: some checks change it, and some run as a user who may not be able to enter the source's directory
scripts=$work/libexec
cp -rp "$source" "$scripts" && chmod 755 "$work" || exit 1

# what a check needs is required, never skipped, so that a green run always means the same
# shellcheck source=tests/checks.sh
. "tests/checks.sh"


# ---- running a script

extra=()                      # NAME=VALUE for every run, as metadata and script_environment
prefix=()                     # a program to run the script under
search=$PATH
DEMO_STATE_DIRECTORY=$work/state

# start COMMAND RANK NODE [ARG]..: replaces this process, which becomes the leader of a group
start() {
  local command=$1 script="$scripts/$1/$2.sh" node=$3
  shift 3
  exec setsid "${prefix[@]}" env -i PATH="$search" HOME="$work" USER="${USER:-root}" LOGNAME="${LOGNAME:-root}" SHELL=/bin/sh \
    LANG=C.UTF-8 SCRIPT_ROOT="$scripts" command="$command" name="$node" run_id=run-1 request_username=ann request_uid=1000 \
    ${DEMO_STATE_DIRECTORY+DEMO_STATE_DIRECTORY="$DEMO_STATE_DIRECTORY"} "${extra[@]}" "$script" "$@" </dev/null
}

# run COMMAND RANK NODE [ARG]..: sets out, err and code
run() {
  (start "$@") >"$work/out" 2>"$work/err"
  code=$?
  out=$(<"$work/out") err=$(<"$work/err")
}

# is CODE STDOUT: the run ended so, with nothing on stderr
is() { [[ $code == "$1" && $out == "$2" && -z $err ]]; }
# refused CODE TEXT..: the run failed so, with nothing on stdout, and an error and a hint on stderr that hold the texts
refused() {
  local text
  [[ $code == "$1" && -z $out && $err == "error: "* && $err == *$'\n'"hint: "* ]] || return 1
  shift
  for text in "$@"; do [[ $err == *"$text"* ]] || return 1; done
}
milliseconds() { date +%s%3N; }
fresh() {
  rm -rf -- "$work/state"
  extra=(demo_delay=0.05)
}

# ---- form

mapfile -t files < <(find "$source" tests/*.sh tests/platforms tests/packages -name '*.sh' | sort)
lint() {
  command -v shellcheck >/dev/null || { echo "# shellcheck is not installed: apt-get install shellcheck" && return 1; }
  # shellcheck disable=SC2046  # names without blanks
  shellcheck -x "${files[@]}" tests/run tests/demo tests/debian-root packaging/{build,release,packages,maintainer.sh,container/healthy,deb/pack/functions.sh} packaging/flight-service/action-api/*.sh tests/fixtures/platforms/{bmc,chassis,stand-in} $(grep -l '^#!/usr/bin/env bash' .ci/*)
}
check "shellcheck passes on ${#files[@]} scripts" lint

formed() {
  local directory file wrong=0
  for directory in "$source"/*/; do
    [[ -f $directory/metadata.yaml ]] || continue
    [[ -x $directory/default.sh ]] || { echo "# no executable default.sh in $directory" && wrong=1; }
    [[ $(basename "$directory") =~ ^[a-z0-9-]+$ ]] || { echo "# no name for a command: $directory" && wrong=1; }
    for file in "$directory"*.sh; do
      [[ -x $file && $(head -n 1 "$file") == '#!/bin/bash' && $(sed -n 2p "$file") == '# '* ]] ||
        { echo "# not executable, or not begun with #!/bin/bash and a comment: $file" && wrong=1; }
    done
  done
  return "$wrong"
}
check "every command has an executable default.sh, and every script says what it does" formed

# ---- power

fresh
run power-status demo n1
check "power-status: ON at first" is 0 ON
check "power-status: writes no state" same "$(ls -A "$work/state/n1")" ""
run power-off demo n1
check "power-off prints its steps" is 0 "$(lines "powering off" STOPPING OFF)"
run power-status demo n1
check "power-status: OFF, with 123" is 123 OFF
run power-off demo n1
check "power-off: already OFF" is 0 "already OFF"
run power-cycle demo n1
check "power-cycle of a node that is OFF" is 0 "$(lines "already OFF, nothing to cycle" "powering on" PENDING ON)"
run power-cycle demo n1
check "power-cycle" is 0 "$(lines "powering off" STOPPING OFF "powering on" PENDING ON)"
run power-on demo n1
check "power-on: already ON" is 0 "already ON"
run power-off demo n1
run power-on demo n1
check "power-on prints its steps" is 0 "$(lines "powering on" PENDING ON)"

extra=(demo_power=OFF)
run power-status demo n2
check "demo_power is the state at first" is 123 OFF
run power-on demo n1
run power-status demo n1
check "demo_power is not used after a change" is 0 ON
for value in off PENDING "ON OFF"; do
  extra=(demo_power="$value")
  run power-status demo n2
  check "demo_power '$value' is refused" refused 78 n2 demo_power "nodes file"
done
extra=(demo_power='')
run power-status demo n2
check "demo_power empty is the default" is 0 ON

for value in 0 00 0.0 .01 0.0000001; do
  fresh
  extra=(demo_delay="$value")
  run power-cycle demo n1
  check "demo_delay $value" is 0 "$(lines "powering off" STOPPING OFF "powering on" PENDING ON)"
done
for value in x -1 1e3 1. 1,5 . 99999999999999999999 '1 2'; do
  extra=(demo_delay="$value")
  run power-off demo n1
  check "demo_delay '$value' is refused" refused 78 n1 demo_delay "nodes file"
done
fresh
extra=(demo_delay=0.3)
begin=$(milliseconds)
run power-off demo n1
took=$(($(milliseconds) - begin))
check "a change takes demo_delay" test "$took" -ge 300

for command in power-on power-off power-cycle power-status estate-show; do
  run "$command" demo n1 word
  check "$command refuses an argument" refused 64 "'word'"
done

# ---- what a watcher sees

fresh
extra=(demo_delay=1)
(start power-off demo n1) >"$work/stream" 2>&1 &
check "STOPPING is printed while the change is under way" until_true 5 grep -q STOPPING "$work/stream"
run power-status demo n1
check "power-status meanwhile: STOPPING, with 123" is 123 STOPPING
wait
(start power-on demo n1) >"$work/stream" 2>&1 &
until_true 5 grep -q PENDING "$work/stream"
run power-status demo n1
check "power-status meanwhile: PENDING" is 0 PENDING
wait

# ---- a change that outlives its command

# kill_at TEXT SIGNAL COMMAND RANK NODE [ARG]..: signals the group when the text has been printed; sets out, err and code
kill_at() {
  local text=$1 signal=$2 leader
  shift 2
  : >"$work/out"
  (start "$@") >"$work/out" 2>"$work/err" &
  leader=$!
  until_true 10 grep -q -- "$text" "$work/out"
  kill -s "$signal" -- -"$leader"
  wait "$leader" 2>/dev/null
  code=$?
  out=$(<"$work/out") err=$(<"$work/err")
}
state_is() {
  run power-status demo n1
  [[ $out == "$1" ]]
}
fresh
extra=(demo_delay=1)
kill_at STOPPING KILL power-off demo n1
run power-status demo n1
check "after KILL the node still is STOPPING" is 123 STOPPING
run power-on demo n1
check "power-on waits for it to be OFF" is 0 "$(lines STOPPING OFF "powering on" PENDING ON)"
kill_at STOPPING KILL power-off demo n1
check "after KILL the node gets to OFF by itself" until_true 5 state_is OFF
run power-off demo n1
check "and is already OFF then" is 0 "already OFF"

kill_at PENDING TERM power-on demo n1
check "TERM: dies of the signal" same "$code" 143
check "TERM: says where the node is and what to do" same "$err" "$(lines \
  "error: power-on interrupted: n1 is PENDING and goes on to ON, machine type general-small" \
  "hint: look with 'power-status n1', or run power-on again")"
check "TERM: the change goes on" until_true 5 state_is ON

# ---- machine types

fresh
all="general-small general-medium general-large compute-small compute-medium compute-large gpu-small gpu-medium gpu-large mem-small mem-medium mem-large"
run estate-show demo n1
check "estate-show: general-small at first" is 0 general-small
rm -rf "$work/state"
run estate-change demo n1
check "estate-change without a type lists what is possible" refused 64 missing "$all"
run estate-change demo n1 general-huge
check "estate-change to an unknown type lists what is possible" refused 64 "'general-huge'" "$all"
for value in "" "general small" "general-" "*" "-x" $'x\ngeneral-large'; do
  run estate-change demo n1 "$value"
  check "estate-change to '${value//$'\n'/\\n}' is refused" refused 64 "$all"
done
run estate-change demo n1 general-large gpu-large
check "estate-change with two types is refused" refused 64 "'gpu-large'" "$all"
check "a refused estate-change touches nothing" test ! -e "$work/state"

run estate-change demo n1 general-large
check "estate-change of a node that is ON" is 0 "$(lines "changing from general-small to general-large" \
  "powering off" STOPPING OFF "changed to general-large" "powering on" PENDING ON)"
run estate-show demo n1
check "estate-show confirms" is 0 general-large
run power-status demo n1
check "and the node is ON again" is 0 ON
run estate-change demo n1 general-large
check "estate-change to the same type" is 0 "already general-large"
run power-off demo n1
run estate-change demo n1 gpu-small
check "estate-change of a node that is OFF" is 0 "$(lines "changing from general-large to gpu-small" "already OFF" "changed to gpu-small" "leaving it OFF")"
run power-status demo n1
check "and the node stays OFF" is 123 OFF
for type in $all; do
  extra=(demo_delay=0)
  run estate-change demo n3 "$type"
  run estate-show demo n3
  check "estate-change to $type" is 0 "$type"
done
extra=(demo_type=mem-large)
run estate-show demo n4
check "demo_type is the type at first" is 0 mem-large
extra=(demo_type=c7g.4xlarge)
run estate-show demo n4
check "a type that is not listed is unknown" is 0 "unknown (c7g.4xlarge)"
extra=(demo_type=c7g.4xlarge demo_delay=0)
run estate-change demo n4 compute-large
check "estate-change from an unknown type" same "$code" 0

printf 'demo\ttest-huge   its-own-name\nother  test-other' >>"$scripts/helpers/machine-types"
run estate-change demo n4 test-huge
check "a type that was added to the file" same "$code" 0
run estate-change demo n4 test-other
check "a type of another platform is refused" refused 64 "$all test-huge"
printf '\ndemo test-last' >>"$scripts/helpers/machine-types"
run estate-change demo n4 test-last
check "a last line without its newline" same "$code" 0
rm "$scripts/helpers/machine-types"
run estate-change demo n4 general-small
check "no machine-types file: says so" refused 73 machine-types
cp -p "$source/helpers/machine-types" "$scripts/helpers/"

# ---- estate-change, cut off at each step and run again

# stand-ins for the programs that the scripts call: each one counts, and number CUT_AT signals the whole group
mkdir "$work/cut"
for program in mkdir flock date mv rm; do
  cat >"$work/cut/$program" <<END
#!/bin/bash
# Runs $program, and signals the group before or after it when its turn has come.
echo >>"\$CUT_COUNT"
[[ \$(wc -l <"\$CUT_COUNT") == "\$CUT_AT" ]] || exec $(command -v "$program") "\$@"
: >"\$CUT_COUNT.done"
[[ \$CUT_WHEN == after ]] && $(command -v "$program") "\$@"
kill -s "\$CUT_SIGNAL" 0
END
  chmod 755 "$work/cut/$program"
done

# recovers SIGNAL WHEN POWER: cuts at the first call, the second, .. until a run is through uncut
recovers() {
  local signal=$1 when=$2 power=$3 at=0 wanted_code=0 problem
  [[ $power == ON ]] || wanted_code=123
  while :; do
    at=$((at + 1))
    rm -rf -- "$work/state" "$work"/count*
    extra=(demo_delay=0.01 demo_power="$power" CUT_COUNT="$work/count" CUT_AT="$at" CUT_WHEN="$when" CUT_SIGNAL="$signal")
    search=$work/cut:$PATH
    { run estate-change demo n1 gpu-large; } 2>/dev/null
    search=$PATH
    extra=(demo_delay=0.01 demo_power="$power")
    problem=""
    if [[ ! -e $work/count.done ]]; then
      ((code == 0)) || problem="the run that was not cut ended with $code"
      steps=$((at - 1))
      [[ -z $problem ]] && return 0
    elif [[ $signal == TERM && $code != 143 && $code != 0 ]]; then
      # 0: the last step was done already
      problem="TERM gave $code"
    elif [[ $signal == TERM && -e $work/state/n1/change && $err != *"run 'estate-change n1 gpu-large' again"*"leaves the node $power"* ]]; then
      problem="TERM did not say how to go on: $err"
    elif [[ $signal == TERM && $err == *"cannot use"* ]]; then
      problem="TERM was taken for something else: $err"
    fi
    run estate-change demo n1 gpu-large
    [[ $code == 0 && -z $err ]] || problem+=" the repetition ended with $code: $out $err"
    run estate-show demo n1
    [[ $out == gpu-large ]] || problem+=" the type is $out"
    run power-status demo n1
    [[ $code == "$wanted_code" && $out == "$power" ]] || problem+=" the power state is $out"
    [[ ! -e $work/state/n1/change ]] || problem+=" a change is left over"
    if [[ -n $problem ]]; then
      echo "# cut at call $at: $problem"
      return 1
    fi
  done
}
steps=0
for power in ON OFF; do
  for signal in KILL TERM; do
    for when in before after; do
      check "estate-change of a node that is $power, $signal $when each call, and again" recovers "$signal" "$when" "$power"
      check "which were $steps cuts" test "$steps" -ge 5
    done
  done
done

fresh
extra=(demo_delay=1)
kill_at STOPPING TERM estate-change demo n1 gpu-large
check "TERM in estate-change: state, type and how to go on" same "$err" "$(lines \
  "error: estate-change interrupted: n1 is STOPPING and goes on to OFF, machine type general-small" \
  "hint: run 'estate-change n1 gpu-large' again: it completes the change and leaves the node ON")"
run estate-change demo n1 gpu-large
check "the repetition says that it completes" has "$out" "completing an interrupted change, the power state to restore is ON"
extra=(demo_delay=0.01 demo_power=OFF)
rm -rf "$work/state"
mkdir -p "$work/state/n1"
echo "gpu-large OFF" >"$work/state/n1/change"
run power-on demo n1
run estate-change demo n1 mem-large
run power-status demo n1
check "power-on after an interrupted change is what the repetition leaves" is 0 ON
extra=(demo_delay=1)
rm -rf "$work/state"
kill_at PENDING KILL estate-change demo n1 gpu-large
run power-off demo n1
check "power-off says that a change was interrupted" has "$err" "hint: an estate-change was interrupted, run 'estate-change n1 gpu-large' to complete it"
run estate-change demo n1 mem-large
run estate-show demo n1
check "another type may complete an interrupted change" is 0 mem-large
run power-status demo n1
check "and the node stays OFF, as was asked meanwhile" is 123 OFF

# ---- commands side by side

fresh
extra=(demo_delay=1)
(start power-off demo n1) >"$work/first" 2>&1 &
until_true 5 grep -q STOPPING "$work/first"
run power-on demo n1
check "a second command waits for the first" is 0 "$(lines "waiting for another command on n1" "powering on" PENDING ON)"
wait

fresh
extra=(demo_delay=0.01)
for round in 1 2 3 4 5; do
  for command in power-off power-on power-cycle estate-change; do
    arguments=()
    [[ $command == estate-change ]] && arguments=("gpu-small")
    (start "$command" demo n1 "${arguments[@]}") >"$work/job.$round.$command" 2>&1 &
    echo "$!"
  done
done >"$work/jobs"
torn=""
for _ in {1..40}; do
  run power-status demo n1
  [[ $code:$out =~ ^(0:ON|0:PENDING|123:OFF|123:STOPPING)$ && -z $err ]] || torn+="$code:$out:$err "
  run estate-show demo n1
  [[ $code:$out =~ ^0:(general|gpu)-small$ && -z $err ]] || torn+="$code:$out:$err "
done
check "readers beside 20 commands on one node always get an answer" same "$torn" ""
broken=0
while read -r job; do wait "$job" || broken=$((broken + 1)); done <"$work/jobs"
check "20 commands at once on one node all succeed" same "$broken" 0
check "and print no error" same "$(cat "$work"/job.* | grep -c -e error -e line)" 0
check "and leave no temporary file" same "$(ls -A "$work/state/n1")" "$(lines lock power type)"
rm -f "$work"/job.*

fresh
extra=(demo_delay=0.2)
jobs=()
for number in {1..60}; do
  (start power-off demo "node$number") >"$work/job.$number" 2>&1 &
  jobs+=("$!")
done
broken=0
for job in "${jobs[@]}"; do wait "$job" || broken=$((broken + 1)); done
check "60 nodes at once" same "$broken:$(cat "$work"/job.* | sort | uniq -c | sed 's/^ *//')" "0:$(lines "60 OFF" "60 STOPPING" "60 powering off")"
rm -f "$work"/job.*

# ---- a state directory that cannot be used

fresh
unset DEMO_STATE_DIRECTORY
for command in power-on power-off power-cycle power-status estate-show; do
  run "$command" demo n1
  check "$command without DEMO_STATE_DIRECTORY" refused 78 "DEMO_STATE_DIRECTORY is not set" script_environment
done
run estate-change demo n1 gpu-small
check "estate-change without DEMO_STATE_DIRECTORY" refused 78 "DEMO_STATE_DIRECTORY is not set" script_environment
for DEMO_STATE_DIRECTORY in "" relative/path; do
  run power-status demo n1
  check "DEMO_STATE_DIRECTORY='$DEMO_STATE_DIRECTORY'" refused 78 DEMO_STATE_DIRECTORY "absolute path"
done
: >"$work/file"
DEMO_STATE_DIRECTORY=$work/file
run power-on demo n1
check "DEMO_STATE_DIRECTORY is a file" refused 73 "$work/file" DEMO_STATE_DIRECTORY
DEMO_STATE_DIRECTORY="$work/with space/and \$(x)"
run power-off demo n1
run power-status demo n1
check "DEMO_STATE_DIRECTORY with spaces is made" is 123 OFF
DEMO_STATE_DIRECTORY=$work/state
run power-off demo ../n1
check "a name that is no node name is refused" test "$code" = 64 -a ! -e "$work/n1"

run power-off demo n1
# root may write anywhere
[[ $(id -u) != 0 ]] || prefix=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$work/state" "$work/state/n1"
[[ $(id -u) == 0 ]] || chmod a-w "$work/state" "$work/state/n1" "$work/state/n1/lock"
run power-status demo n1
check "a state that may only be read is read" is 123 OFF
run power-on demo n1
check "and not changed" refused 73 "$work/state/n1/lock: Permission denied"
run power-on demo n2
check "no directory can be made for a new node" refused 73 "$work/state/n2" "Permission denied"
chmod a+w "$work/state/n1/lock"
run estate-change demo n1 gpu-small
check "no file can be written: error and hint, nothing else" test "$code" = 73 -a "$(wc -l <"$work/err")" = 2
run estate-show demo n1
check "and nothing was changed" is 0 general-small
chmod 000 "$work/state/n1"
run power-status demo n1
check "a state that may not be read" refused 73 "$work/state/n1" "Permission denied"
prefix=()
chmod 755 "$work/state" "$work/state/n1"

for value in "" junk "PENDING ON" "STOPPING ON 1" "ON "$'\n'"OFF x"; do
  printf '%s' "$value" >"$work/state/n1/power"
  [[ $value == ON* ]] && continue
  run power-status demo n1
  check "a damaged state file ('$value'): says which" refused 73 "$work/state/n1/power"
done

# ---- nodes without a rank that has a script

for command in power-on power-off power-cycle power-status estate-show estate-change; do
  run "$command" default n9 general-small
  ranks="aws azure demo ipmi redfish"
  [[ $command == estate-* ]] && ranks="aws azure demo"
  check "$command/default.sh names the ranks and how to set them" refused 78 "$command" n9 "these ranks: $ranks"$'\n' "n9: {ranks: [aws]}" "nodes file"
done
printf '#!/bin/bash\n' | tee "$scripts/power-on/other.py" >"$scripts/power-on/not-executable.sh"
chmod 755 "$scripts/power-on/other.py"
mkdir "$scripts/power-on/parts.d"
run power-on default n9
check "the ranks are those of the directory" refused 78 "these ranks: aws azure demo ipmi other redfish"$'\n'
find "$scripts/power-on" -name '*.*' -type f ! -name default.sh -delete
run power-on default n9
check "a command without any rank says so" refused 78 "no script for any rank" "$scripts/power-on"

# ---- usage

mkdir "$work/fake"
cat >"$work/fake/ssh" <<'END'
#!/bin/bash
# Stands in for ssh: prints its arguments to a file, and ends with SSH_CODE.
printf '<%s>\n' "$@" >"$SSH_LOG"
echo " 10:00:00 up 1 day"
exit "${SSH_CODE:-0}"
END
chmod 755 "$work/fake/ssh"
search=$work/fake:$PATH
ours=$(lines "<-o>" "<BatchMode=yes>" "<-o>" "<ConnectTimeout=10>" "<-o>" "<ServerAliveInterval=10>" "<-o>" "<ServerAliveCountMax=3>")
extra=(SSH_LOG="$work/ssh")
run usage default n1
check "usage" is 0 "n1 load and uptime:  10:00:00 up 1 day"
check "usage calls ssh so that it cannot ask" same "$(<"$work/ssh")" "$(lines "$ours" "<-->" "<n1>" "<uptime>")"
text="i-1  \$(id) *"
extra=(SSH_LOG="$work/ssh" ec2_id="$text")
run usage aws n1
check "usage on aws, with metadata as it is" is 0 "n1 ($text) load and uptime:  10:00:00 up 1 day"
extra=(SSH_LOG="$work/ssh" ssh_options=$' -p 2222\n-o User=* ')
run usage default n1
check "ssh_options come first, and are not expanded" same "$(<"$work/ssh")" "$(lines "<-p>" "<2222>" "<-o>" "<User=*>" "$ours" "<-->" "<n1>" "<uptime>")"
extra=(SSH_LOG="$work/ssh" ssh_options='["-p","2222"]')
run usage default n1
check "ssh_options as a list is refused" refused 78 ssh_options "one text"
extra=(SSH_LOG="$work/ssh" SSH_CODE=3)
run usage default n1
check "usage ends with the code of the program on the node" test "$code" = 3 -a -z "$out" -a "$err" = "error: 'uptime' on n1 ended with code 3"
extra=(SSH_LOG="$work/ssh" SSH_CODE=255)
run usage default n1
check "usage ends with 255 when ssh failed" refused 255 "no ssh connection to n1" ssh_options
extra=()
run usage aws n1
check "usage on aws without ec2_id" refused 78 n1 ec2_id "nodes file"
extra=(ec2_id=)
run usage aws n1
check "usage on aws with an empty ec2_id" refused 78 n1 ec2_id "nodes file"
run usage default n1 word
check "usage refuses an argument" refused 64 "'word'"
mkdir "$work/bare"
ln -s "$(command -v bash)" "$(command -v env)" "$(command -v id)" "$work/bare/"
search=$work/bare
run usage default n1
check "usage without ssh" refused 69 "ssh is not installed" "$work/bare"

search=$PATH
extra=(ssh_options="-F none -p 1")
run usage default 127.0.0.1
check "usage over the real ssh, nothing listening" test "$code" = 255 -a -z "$out"
check "and says so" has "$err" "error: no ssh connection to 127.0.0.1"$'\n'"hint: "
# accepts connections, and never says a word
python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$work/port" &
listener=$!
check "a silent listener is there" until_true 10 test -s "$work/port"
extra=(ssh_options="-F none -o ConnectTimeout=1 -p $(<"$work/port")")
begin=$(milliseconds)
run usage default 127.0.0.1
took=$(($(milliseconds) - begin))
check "usage over the real ssh, a node that never answers ($took ms)" test "$code" = 255 -a "$took" -lt 8000
kill "$listener"
wait "$listener" 2>/dev/null

# ---- sample

extra=()
run sample default n1
check "sample" test "$code" = 0 -a "$out" = "$(lines "hello from n1" "arguments: 0")" -a "$err" = "run run-1 of sample, asked for by ann"
extra=(sample_greeting="good  morning")
run sample default n1 3 "a  b" '*' ''
check "sample passes metadata and arguments as they are" test "$code" = 3 -a "$out" = "$(lines "good  morning from n1" "arguments: 4" "  3" "  a  b" "  *" "  ")"
run sample default n1 256
check "sample refuses a code above 255" test "$code" = 64 -a "$err" = "error: CODE is '256', expected a number up to 255"
run sample default n1 08
check "sample takes 08 for 8" same "$code" 8

# ---- by hand, without what the server sets

out=$(env -i PATH="$PATH" "$scripts/power-status/demo.sh" 2>&1)
code=$?
check "without SCRIPT_ROOT a script names it and fails" test "$code" != 0 -a "${out/SCRIPT_ROOT/}" != "$out"
out=$(env -i PATH="$PATH" SCRIPT_ROOT="$scripts" command=power-status DEMO_STATE_DIRECTORY="$work/state" "$scripts/power-status/demo.sh" 2>&1)
code=$?
check "without name a script names it and fails" test "$code" != 0 -a "${out/name: unbound/}" != "$out"

counted
