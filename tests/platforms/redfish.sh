# The rank redfish: a BMC with one system, and one with two.
# shellcheck shell=bash disable=SC2154,SC2317  # variables of platforms.sh, functions as conditions

redfish_up() {
  lines "127.0.2.1 red01.bmc" "127.0.2.2 red02.bmc" >>/etc/hosts
  daemon red01 python redfish 127.0.2.1 "$work/server.pem" "$work/server.key" "$work/redfish-password" red01
  daemon red02 python redfish 127.0.2.2 "$work/server.pem" "$work/server.key" "$work/redfish-password" left right
  # curl asks for the password, whose quote and backslash are its own affair there
  printf 'user = "admin:redfish \\"\\\\pass\\"-1"\ncacert = "%s"\nsilent\n' "$work/ca.pem" >"$work/curlrc"
  answers() { quiet curl --config "$work/curlrc" "https://red01.bmc/redfish/v1" && quiet curl --config "$work/curlrc" "https://red02.bmc/redfish/v1"; }
  must "two Redfish BMCs are there" until_true 30 answers
  left=$(by_hand red02 /redfish/v1/Systems | jq -r '.Members[0]["@odata.id"]')
  nodes <<END
red01: &red {ranks: [redfish], redfish_username: admin, redfish_ca: $work/ca.pem, __secret__: {redfish_password: 'redfish "\\pass"-1'}}
redsoft: {<<: *red, redfish_url: "https://red01.bmc/", power_off_mode: soft}
redtwo: {<<: *red, redfish_url: "https://red02.bmc"}
redleft: {<<: *red, redfish_url: "https://red02.bmc", redfish_system: $left}
redwrong: {<<: *red, redfish_url: "https://red01.bmc", __secret__: {redfish_password: wrong-password-1}}
reduntrusted: {<<: *red, redfish_url: "https://red01.bmc", redfish_ca: /etc/hostname}
redverify: {<<: *red, redfish_url: "https://127.0.2.1", redfish_verify: false}
redaway: {<<: *red, redfish_url: "https://127.0.2.9"}
redbare: {ranks: [redfish], redfish_username: admin}
END
}

by_hand() { curl --config "$work/curlrc" "https://$1.bmc$2"; }
system_is() { [[ $(by_hand "$1" "$(by_hand "$1" /redfish/v1/Systems | jq -r '.Members[0]["@odata.id"]')" | jq -r .PowerState) == "$2" ]]; }

redfish_checks() {
  run power-status red01
  check "redfish: power-status of a node that is on" is 0 ON
  run power-off red01
  check "redfish: power-off" is 0 "powering off"
  check "redfish: and curl says so" system_is red01 Off
  run power-status red01
  check "redfish: power-status of a node that is off, a success" is 0 OFF
  run power-off red01
  check "redfish: power-off of a node that is off" is 0 "already OFF"
  run power-on red01
  check "redfish: power-on" is 0 "powering on"
  check "redfish: and curl says so" system_is red01 On
  run power-cycle red01
  check "redfish: power-cycle" is 0 "power cycling"
  run power-off redsoft
  check "redfish: power-off, soft" is 0 "powering off"
  run power-cycle red01
  check "redfish: power-cycle of a node that is off" is 0 "already OFF, powering on"
  check "redfish: what the BMC was asked for" same "$(by_hand red01 /resets | xargs)" "ForceOff On ForceRestart GracefulShutdown On"

  run power-off redleft
  check "redfish: one of two systems" is 0 "powering off"
  check "redfish: and curl says so" system_is red02 Off
  run power-on redtwo
  check "redfish: two systems and none chosen: says which there are" refused 78 "redfish_system" "$left"
  run ipmi-sel red01
  check "redfish: ipmi-sel, over two pages" is 0 "$(lines "1 | 2026-01-01T00:00:00Z | Warning | Log cleared" \
    "2 | 2026-01-02T00:00:00Z | Warning | Fan 1 failed" "3 | 2026-01-03T00:00:00Z | Warning | Power supply 2 lost its input")"
  run ipmi-sel red01 1
  check "redfish: the newest" is 0 "3 | 2026-01-03T00:00:00Z | Warning | Power supply 2 lost its input"

  quiet by_hand red01 /busy/2 -X PUT
  run power-status red01
  check "redfish: a BMC that has no time is asked again, and this is told" refused 0 "redfish is busy (HTTP 503:): attempt 2 of 6"
  check "redfish: and answers at last" same "$out" ON
  run power-status redwrong
  check "redfish: a wrong password" refused 77 "HTTP 401" "redfish_password of 'redwrong:'"
  run power-status reduntrusted
  check "redfish: a certificate that is not trusted" refused 75 "curl: (" redfish_ca
  run power-status redverify
  check "redfish: redfish_verify: false takes any" is 0 ON
  run power-off redaway
  check "redfish: nobody there" refused 75 "https://127.0.2.9 (redfish_url)"
  run power-off redbare
  check "redfish: no password: node, key and file" refused 78 "node redbare has no metadata 'redfish_password'" "to 'redbare:' in the nodes file"
}
