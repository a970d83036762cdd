#!/bin/bash
# rpm, in a chroot: without systemd.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

part_rpm() {
  local before
  chroot_machine
  mapfile -t first < <(packages packages rpm)
  mapfile -t next < <(packages packages-next rpm)
  must "they are installed" rpm -i "${first[@]}"
  check "what was made is told" has "$(<"$work/rpm.log")" "made a certificate"
  installed
  check "every file is as the package has it" same "$(on rpm -V --nodeps action-server action-client action-server-power action-server-estate)" ""
  start_server
  first_steps
  admins_own

  start_slow
  before=$(kept)
  must "an upgrade while a run goes on" rpm -U "${next[@]}"
  check "is one" same "$(on rpm -q --qf '%{VERSION}\n' action-server action-client action-server-power action-server-estate | sort -u)" 1.2.4
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and has the new file beside it" grep -q "a better example" "$root/etc/action/nodes.yaml.rpmnew"
  check "replaces what was not edited" grep -q "a better script" "$root/etc/action/libexec/sample/default.sh"
  release
  check "the run is whole" whole

  must "a pack is removed" rpm -e action-server-power
  check "and its commands are gone" until_true 30 no_command power-on
  check "those of the other are not" quiet action-client estate-show demo01
  kill "$server"
  wait "$server"
  check "a server that is stopped ends well" same "$?" 0
  must "all are removed" rpm -e action-server action-server-estate action-client
  check "which takes the programs" gone /usr/bin/action-server /usr/bin/power /usr/lib/systemd/system/action-server.service /etc/action/server.yaml
  check "and keeps what was made, edited, and recorded" quiet test -s /etc/action/jwt_secret -a -s /etc/action/nodes.yaml.rpmsave -a -s /var/lib/action/audit.jsonl
}
