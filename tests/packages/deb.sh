#!/bin/bash
# deb, in a chroot: without systemd.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

part_deb() {
  local before
  chroot_machine
  mapfile -t first < <(packages packages deb)
  mapfile -t next < <(packages packages-next deb)
  check "the same sources give the same packages" diff -r "$work/packages" "$work/packages-again"
  mkdir "$work/control"
  for package in "${first[@]}"; do dpkg-deb --control "$root$package" "$work/control/${package##*/}"; done
  check "what dpkg runs passes shellcheck" shellcheck -s sh "$work"/control/*/p*
  must "they are installed" deb install "${first[@]}"
  check "what was made is told" has "$(<"$work/apt.log")" "made a certificate"
  installed
  check "the service is enabled for the next boot" test -L "$root/etc/systemd/system/multi-user.target.wants/action-server.service"
  check "nothing was started" same "$(of_action)" ""
  start_server
  check "and now something is" test -n "$(of_action)"
  first_steps
  root_revokes
  admins_own

  start_slow
  before=$(kept)
  must "an upgrade while a run goes on" deb install "${next[@]}"
  check "is one" same "$(deb_versions)" 1.2.4-1
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and has the new file beside it" grep -q "a better example" "$root/etc/action/nodes.yaml.dpkg-dist"
  check "replaces what was not edited" grep -q "a better script" "$root/etc/action/libexec/sample/default.sh"
  check "the server and its run go on" kill -0 "$server"
  release
  check "the run is whole" whole

  start_slow
  kill "$server"
  check "a server that is stopped waits for its runs" until_true 30 audited server_stopping 1
  release
  wait "$server"
  check "and ends well" same "$?" 0
  start_server
  check "the next one has the run, whole" whole
  run action-client sample own01
  check "an edited file beside scripts changes no command" has "$out" "hello from own01"

  deb remove action-server-power
  check "the commands of a removed pack are gone" until_true 30 no_command power-on
  check "and those of the other are not" quiet action-client estate-show demo01
  must "it is installed again" deb install "$(grep power <<<"$(lines "${next[@]}")")"
  check "and its commands are back" until_true 30 quiet action-client power-status demo01
  check "as they were" on sh -c '! find /etc/action -name "*.removed" | grep .'

  deb remove action-server
  check "a remove takes the programs" gone /usr/bin/action-server /usr/lib/systemd/system/action-server.service
  check "and keeps what was made, and what was edited" same "$(kept)" "$before"
  check "and the records" test -s "$root/var/lib/action/audit.jsonl"
  must "it is installed again" deb install "${next[@]}"
  check "with all that was there" same "$(kept)" "$before"
  kill "$server"
  wait "$server"
  start_server
  check "the token is good as before" quiet action-client power-status own01
  kill "$server"
  wait "$server"

  deb purge action-server-power action-server-estate action-server action-client
  check "a purge says what it removes" has "$(<"$work/apt.log")" "removed the records of all runs"
  check "removes all but the admin's own command" same "$(on find /etc/action -type f | sort)" "$(lines /etc/action/libexec/slow/default.sh /etc/action/libexec/slow/metadata.yaml)"
  check "says that this is left" has "$(<"$work/apt.log")" "/etc/action is left"
  check "leaves nothing else" gone /var/lib/action /etc/systemd/system/multi-user.target.wants/action-server.service /usr/share/doc/action-server /usr/bin/power
  check "and not the user" same "$(on getent passwd action)$(on getent group action)" ""
}
