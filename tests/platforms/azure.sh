# The rank azure: the real az, and below it a fake of Azure's API.
# shellcheck shell=bash disable=SC2154,SC2317  # variables of platforms.sh, functions as conditions

azure_up() {
  export AZURE_CONFIG_DIR=$work/az REQUESTS_CA_BUNDLE=$work/ca.pem AZURE_CORE_INSTANCE_DISCOVERY=false AZURE_CORE_COLLECT_TELEMETRY=false \
    AZURE_CORE_ONLY_SHOW_ERRORS=true AZURE_CORE_LOGIN_EXPERIENCE_V2=off
  local step machines=(az1=Standard_B2s az2=Standard_B1s vm-3=Standard_B2s)
  local variable
  for variable in AZURE_CONFIG_DIR REQUESTS_CA_BUNDLE AZURE_CORE_INSTANCE_DISCOVERY AZURE_CORE_COLLECT_TELEMETRY; do
    settings+=$'\n'"  $variable: '${!variable}'"
  done
  {
    echo "az1: &az {ranks: [azure], azure_resource_group: rg1}"
    echo "az2: {<<: *az}"
    echo "az3: {<<: *az, azure_name: vm-3}"
    echo "aznone: {<<: *az}"
    echo "azbare: {ranks: [azure]}"
    echo "azlogin: {<<: *az, azure_name: az1, AZURE_CONFIG_DIR: $work/nobody}"
    for step in on-set on-deallocate on-resize on-start on-remove off-set off-resize off-remove; do
      echo "azcut-$step: {<<: *az, cut_after: $(azure_word "${step#*-}"), cut_signal: KILL}"
    done
    echo "azterm: {<<: *az, cut_after: resize, cut_signal: TERM}"
  } | nodes
  mapfile -t -O "${#machines[@]}" machines < <(sed -n 's/^\(azcut[^:]*\|azterm\):.*/\1=Standard_B2s/p' "$work/site/nodes.yaml")
  daemon arm python arm 8443 "$work/server.pem" "$work/server.key" 1 "${machines[@]}"
  must "the fake of Azure is there" until_true 20 quiet arm machines
  azure_login() {
    az cloud register -n Fake --endpoint-resource-manager https://localhost:8443 && az cloud set -n Fake &&
      az login --service-principal -u 33333333-3333-3333-3333-333333333333 -p "@$work/azure-password" \
        --tenant 11111111-1111-1111-1111-111111111111 -o none
  }
  must "az is logged in there" azure_login
}

azure_word() { case $1 in set | remove) echo "--$1" ;; *) echo "$1" ;; esac; }
# arm PATH [OPTION]..: the hooks of the fake
arm() { curl --silent --cacert "$work/ca.pem" "https://localhost:8443/test/$1" "${@:2}"; }
# azure_is NAME POWER SIZE TAGS: by az itself
azure_is() {
  [[ $(az vm get-instance-view -g rg1 -n "$1" -o tsv --query "[instanceView.statuses[1].code, hardwareProfile.vmSize, to_string(tags)]" | xargs) == "PowerState/$2 $3 ${4:-{\}}" ]]
}

azure_checks() {
  azure_power
  azure_estate
  azure_refusals
  azure_recovers
}

azure_power() {
  run power-status az1
  check "azure: power-status of a node that is on" is 0 ON
  run power-off az1
  check "azure: power-off" is 0 "powering off"
  run power-on az1
  check "azure: power-on waits for what is under way" same "$(tail -n 1 <<<"$out")" "powering on"
  check "azure: and az says so" until_true 20 azure_is az1 running Standard_B2s
  run power-cycle az1
  check "azure: power-cycle" is 0 "power cycling"
  run power-off az3
  check "azure: a machine with a name of its own" is 0 "powering off"
  check "azure: and az says so" until_true 20 azure_is vm-3 deallocated Standard_B2s
  run power-status az3
  check "azure: power-status of a node that is off, a success" is 0 OFF
}

azure_estate() {
  run estate-show az1
  check "azure: estate-show" is 0 general-small
  run estate-show az2
  check "azure: estate-show of what is not in the list" is 0 "unknown (Standard_B1s)"
  run estate-change az1 mem-small
  check "azure: estate-change of a node that is ON" is 0 "$(lines "changing from general-small to mem-small" "powering off" OFF "changed to mem-small" "powering on" ON)"
  check "azure: and az says so, without a tag" azure_is az1 running Standard_E2s_v5
  run estate-change az1 mem-small
  check "azure: estate-change to the same type" is 0 "already mem-small"
  quiet arm power/vm-3/stopped -X PUT
  run estate-change az3 compute-small
  check "azure: estate-change of a node that was shut down from within" is 0 "$(lines "changing from general-small to compute-small" "changed to compute-small" "leaving it OFF")"
  check "azure: and az says so" azure_is vm-3 deallocated Standard_F2s_v2
  run estate-change az1 gpu-small
  check "azure: a size that the region has not: says which are possible" refused 64 "az1 cannot be gpu-small" \
    "possible for az1: general-small general-medium compute-small mem-small mem-large"
  check "azure: a refused change touches nothing" azure_is az1 running Standard_E2s_v5

  quiet arm power/az2/hibernated -X PUT
  run power-status az2
  check "azure: a machine that hibernates, a success" is 0 SLEEPING
  run estate-change az2 mem-small
  check "azure: which gets no other type" refused 76 "az2 is SLEEPING"

  quiet arm fail/start/az1 -X PUT
  run estate-change az1 mem-large
  check "azure: no capacity for the new size: says how to go on" refused 75 AllocationFailed "run 'estate-change az1 mem-large' again" "leaves the node ON"
  run estate-change az1 general-small
  check "azure: another type completes it" same "$code:$(tail -n 1 <<<"$out")" 0:ON
  check "azure: and az says so" azure_is az1 running Standard_B2s
}

azure_refusals() {
  run power-status aznone
  check "azure: no such machine" refused 76 ResourceNotFound
  run power-off azbare
  check "azure: no resource group: node, key and file" refused 78 "node azbare has no metadata 'azure_resource_group'" "to 'azbare:' in the nodes file"
  run power-off azlogin
  check "azure: not logged in" refused 77 "az login"
  # az itself tries eleven times, and says nothing
  quiet arm busy/12 -X PUT
  run power-status az1
  check "azure: throttled: told, and done all the same" refused 0 "azure is busy (TooManyRequests" "attempt 2 of 6"
  check "azure: and the state is right" same "$out" ON
}

azure_recovers() {
  local machine
  for machine in azcut-off-set azcut-off-resize azcut-off-remove; do quiet arm "power/$machine/deallocated" -X PUT; done
  run estate-change -g 'azcut-*,azterm' mem-small
  check "azure: 8 changes are killed after each of their steps" has "$err" "(8): signal 9"
  check "azure: TERM says how to go on" has "$err" "azterm: hint: run 'estate-change azterm mem-small' again: it completes the change and leaves the node ON"
  check "azure: those whose last step was not done are marked with what is to be done" same \
    "$(arm machines | jq -r '.[] | .[2]["action-estate-change"] | values' | sort | uniq -c | xargs)" "2 mem-small:OFF 5 mem-small:ON"
  run estate-change -g 'azcut-*,azterm' mem-small
  check "azure: a second change completes all" refused 0 "ok azcut" "(9)"
  cut=$(for machine in azcut-{on-{set,deallocate,resize,start,remove},off-{set,resize,remove}} azterm; do
    az vm get-instance-view -g rg1 -n "$machine" -o tsv --query "[[instanceView.statuses[1].code, hardwareProfile.vmSize, to_string(tags)]]"
  done | sort | uniq -c | xargs)
  check "azure: to the wanted size and the former state of power, without tags" same "$cut" \
    "3 PowerState/deallocated Standard_E2s_v5 {} 6 PowerState/running Standard_E2s_v5 {}"
}
