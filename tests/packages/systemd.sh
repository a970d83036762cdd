#!/bin/bash
# Both formats on a booted systemd, with runs going on.
# Read by tests/packages.sh.
# shellcheck disable=SC2154,SC2034,SC2016  # its variables, and what others expand

service() { on systemctl show --value --property "$1" action-server.service; }

# upgrade_under_a_run COMMAND..: upgrades so, while a run goes on
upgrade_under_a_run() {
  local before process upgrade
  start_slow
  before=$(kept) process=$(service MainPID)
  "$@" &
  upgrade=$!
  check "an upgrade stops the server" until_true 60 audited server_stopping 1
  check "which waits for its run" same "$(service MainPID)" "$process"
  release
  wait "$upgrade"
  check "and is done" same "$?" 0
  check "keeps what was made, and what was edited" same "$(kept)" "$before"
  check "the new server runs" until_true 30 same "$(service ActiveState)" active
  check "and is another process" lacks "$(service MainPID)" "$process"
  check "the run is whole" whole
}

# remove_under_a_run COMMAND..: removes so, while a run goes on
remove_under_a_run() {
  local removal
  start_slow
  "$@" &
  removal=$!
  check "a remove stops the server" until_true 60 audited server_stopping 2
  release
  wait "$removal"
  check "which ends well" same "$? $(service ActiveState)" "0 inactive"
}

part_systemd() {
  local before process
  boot_machine
  mapfile -t first < <(packages packages deb)
  mapfile -t next < <(packages packages-next deb)
  must "they are installed" deb install "${first[@]}"
  installed
  must "the service runs, and is enabled" same "$(service ActiveState) $(service UnitFileState)" "active enabled"
  check "as the user action" same "$(on stat -c %U "/proc/$(service MainPID)")" action
  first_steps
  root_revokes
  admins_own
  process=$(service MainPID)
  check "a reload is one" on systemctl reload action-server.service
  check "which needs no other process" same "$(service MainPID)" "$process"

  upgrade_under_a_run deb install "${next[@]}"
  check "it is the next version" same "$(deb_versions)" 1.2.4-1
  before=$(kept)
  remove_under_a_run deb remove action-server
  check "and all is kept" same "$(kept)" "$before"
  must "it is installed again" deb install "${next[@]}"
  check "and runs again" same "$(service ActiveState)" active
  check "the run before the remove is whole" whole

  on systemctl disable --now --quiet action-server.service
  must "it is installed over again" deb install --reinstall "${next[@]}"
  check "what the admin has disabled stays so" same "$(service ActiveState) $(service UnitFileState)" "inactive disabled"
  deb purge action-server-power action-server-estate action-server action-client
  check "a purge leaves nothing" gone /var/lib/action /etc/action/jwt_secret /etc/systemd/system/multi-user.target.wants/action-server.service
  check "and not the user" same "$(on getent passwd action)" ""
  rm -r "$root/etc/action/libexec/slow"

  mapfile -t first < <(packages packages rpm)
  mapfile -t next < <(packages packages-next rpm)
  must "the rpms are installed" rpm -i "${first[@]}"
  on systemctl enable --now --quiet action-server.service
  must "their service runs" same "$(service ActiveState)" active
  first_steps
  admins_own
  upgrade_under_a_run rpm -U "${next[@]}"
  remove_under_a_run rpm -e action-server action-server-power action-server-estate action-client
  check "the service is forgotten" same "$(service LoadState)" not-found
  check "no link to it is left" gone /etc/systemd/system/multi-user.target.wants/action-server.service
  on systemctl poweroff >/dev/null 2>&1
  wait "$nspawn"
}
