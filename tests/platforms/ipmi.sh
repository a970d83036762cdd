# The rank ipmi: 27 BMCs of ipmi_sim, and three black holes.
# shellcheck shell=bash disable=SC2154,SC2317  # variables of platforms.sh, functions as conditions

ipmi_up() {
  local number
  for number in {01..27}; do
    echo "127.0.1.$((10#$number)) bmc$number.bmc" >>/etc/hosts
    daemon "bmc$number" "$fixtures/bmc" "$work/bmc" "bmc$number" "127.0.1.$((10#$number))" "$work/ipmi-password"
  done
  daemon blackholes python blackholes 127.0.1.101 127.0.1.102 127.0.1.103
  {
    echo "__meta__: {bmc: &bmc {ranks: [ipmi], ipmi_username: admin, ipmi_cipher_suite: 3, __secret__: {ipmi_password: ipmi-password-1}}}"
    # in front, where they hold up whoever waits for them
    for number in 1 2 3; do echo "hole0$number: {<<: *bmc, ipmi_host: 127.0.1.10$number, ipmi_retries: 99}"; done
    for number in {01..27}; do echo "bmc$number: {<<: *bmc}"; done
    echo "dead: {<<: *bmc, ipmi_host: 127.0.1.101, ipmi_retries: 1}"
    echo "wrong: {<<: *bmc, ipmi_host: 127.0.1.2, __secret__: {ipmi_password: wrong-password-1}}"
    echo "suite: {<<: *bmc, ipmi_host: 127.0.1.2, ipmi_cipher_suite: 17}"
    echo "soft: {<<: *bmc, ipmi_host: 127.0.1.4, power_off_mode: soft}"
    echo "filed: {ranks: [ipmi], ipmi_username: admin, ipmi_cipher_suite: 3, ipmi_host: 127.0.1.5, ipmi_password_file: $work/ipmi-password}"
    echo "bare: {ranks: [ipmi], ipmi_username: admin}"
    echo "badport: {<<: *bmc, ipmi_port: http}"
  } | nodes
  listening() { (($(ss -Hlun 'sport = 623' | wc -l) == 30)); }
  must "27 BMCs and 3 black holes are there" until_true 20 listening
}

# bmc NUMBER WORD..: ipmitool by hand
bmc() {
  ipmitool -I lanplus -C 3 -H "127.0.1.$1" -U admin -f "$work/ipmi-password" "${@:2}"
}
power_is() { [[ $(bmc "$1" chassis power status) == "Chassis Power is $2" ]]; }

ipmi_checks() {
  ipmi_power
  ipmi_refusals
  ipmi_holes
}

ipmi_power() {
  run power-status bmc01
  check "ipmi: power-status of a node that is on" is 0 ON
  run power-off bmc01
  check "ipmi: power-off" is 0 "powering off"
  check "ipmi: and ipmitool says so" power_is 1 off
  run power-status bmc01
  check "ipmi: power-status of a node that is off, a success" is 0 OFF
  run power-status bmc01 --exit any
  run power-off bmc01
  check "ipmi: power-off of a node that is off" is 0 "already OFF"
  run power-cycle bmc01
  check "ipmi: power-cycle of a node that is off" is 0 "$(lines "already OFF, powering on")"
  check "ipmi: and ipmitool says on" power_is 1 on
  run power-on bmc01
  check "ipmi: power-on of a node that is on" is 0 "already ON"
  : >"$work/bmc/bmc03/events"
  run power-cycle bmc03
  check "ipmi: power-cycle" is 0 "power cycling"
  check "ipmi: and the machine was off, then on" until_true 10 same_events bmc03 "power 0" "power 1"
  run power-off bmc03 --wait
  check "ipmi: power-off --wait ends when the node is off" is 0 "$(lines "powering off" OFF)"
  check "ipmi: and ipmitool says so" power_is 3 off
  run power-on bmc03 --wait
  check "ipmi: power-on --wait" is 0 "$(lines "powering on" ON)"
  check "ipmi: and ipmitool says on" power_is 3 on
  run power-off soft
  check "ipmi: power_off_mode: soft asks the system" same_events bmc04 shutdown
  run power-on soft
  check "ipmi: power-on" is 0 "powering on"
  check "ipmi: and ipmitool says on" power_is 4 on
  run power-off filed
  check "ipmi: a password from a file" is 0 "powering off"
  check "ipmi: and it did so" power_is 5 off
  run ipmi-sel bmc01
  check "ipmi: ipmi-sel is what ipmitool shows" is 0 "$(bmc 1 sel list)"
  check "ipmi: which is two events" same "$(wc -l <<<"$out")" 2
  run ipmi-sel bmc01 1
  check "ipmi: ipmi-sel with a count is the newest" is 0 "$(bmc 1 sel list | tail -n 1)"
  run ipmi-sel bmc01 all
  check "ipmi: ipmi-sel with what is no count" refused 64 "COUNT is 'all'"
}

same_events() {
  [[ $(<"$work/bmc/$1/events") == "$(lines "${@:2}")" ]]
}

ipmi_refusals() {
  run power-status wrong
  check "ipmi: a wrong password is told apart" refused 77 "RAKP 2 HMAC is invalid" "ipmi_password of 'wrong:'"
  check "ipmi: and the state is UNKNOWN" same "$out" UNKNOWN
  run power-status dead
  check "ipmi: no answer" refused 75 "Unable to establish" "is 127.0.1.101 (ipmi_host), UDP port 623, its BMC"
  run power-off suite
  check "ipmi: a cipher suite that the BMC does not take" test "$code" != 0 -a "${err/ipmi_cipher_suite 17/}" != "$err"
  run power-on bare
  check "ipmi: no password: node, key and file" refused 78 "node bare has no metadata 'ipmi_password'" "to 'bare:' in the nodes file"
  run power-on badport
  check "ipmi: metadata that cannot be used" refused 78 "node badport has 'ipmi_port: http'"
}

ipmi_holes() {
  run power-status -g 'bmc[01-27]' --fold
  check "ipmi: 27 nodes, none dead" refused 0 "ok"
  # the holes are first in the file, and take three of ten places
  run power-status -g 'hole[01-03],bmc[01-27]' --fanout 10 --timeout 8s --output json
  check "ipmi: 3 of 30 BMCs are black holes: the code of a timeout" same "$code" 253
  jq -r 'select(.event == "node_finished") | .outcome' <<<"$out" >"$work/outcomes"
  check "ipmi: the other 27 have ended before" same "$(head -n 27 "$work/outcomes" | sort | uniq -c | xargs)" "27 ok"
  check "ipmi: and the run ended with its timeout" same "$(tail -n 3 "$work/outcomes" | xargs)" "timed-out timed-out timed-out"
  # as if alone: by the clock of the events, they needed a small part of the run's time
  jq -rs '[.[] | select(.time) | .time | sub("\\.[0-9]+"; "") | fromdate] as $t |
    [.[] | select(.event == "node_finished" and .outcome == "ok") | .time | sub("\\.[0-9]+"; "") | fromdate] as $ok |
    (($ok | max) - $t[0]) * 2 <= ($t | max) - $t[0]' <<<"$out" >"$work/early"
  check "ipmi: they took less than half of the run's time" same "$(<"$work/early")" true
  run power-status -g 'hole[01-03],bmc[01-27]' --timeout 3s
  check "ipmi: both sets are named" has "$err" "timed-out hole[01-03] (3)"
  check "ipmi: also that of those that are well" has "$err" "ok bmc["
}
