# What the package action-server does as it comes, is replaced and goes; the same for deb and rpm, whose scripts are made of
# this by packaging/build. It does nothing to a machine but its files where systemd does not run: a chroot, a container.
# shellcheck shell=sh

etc=/etc/action
state=/var/lib/action
service=action-server.service

say() { echo "action-server: $*" >&2; }
runs_systemd() { [ -d /run/systemd/system ]; }

# ---- coming

# The user that server and scripts run as.
make_user() {
    getent passwd action >/dev/null && return 0
    useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin action
}

# Where there is a state directory already, it is left as the admin has it.
make_state() {
    [ -e "$state" ] || install -d -m 0700 -o action -g action "$state"
}

# What tokens are signed with. A link counts as there, wherever it leads.
make_secret() {
    if [ -e "$etc/jwt_secret" ] || [ -L "$etc/jwt_secret" ]; then return 0; fi
    new=$(mktemp "$etc/.jwt_secret.XXXXXX")
    { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' && echo; } >"$new"
    [ "$(wc -c <"$new")" -eq 65 ] || { rm -f "$new"; say "cannot make a secret"; return 1; }
    mv -n "$new" "$etc/jwt_secret"
    say "made a secret for tokens, $etc/jwt_secret"
}

# Revoked tokens: none yet. The server reads the file, and only root adds to it.
make_revocations() {
    [ -e "$etc/revoked.jsonl" ] || install -m 0644 /dev/null "$etc/revoked.jsonl"
}

make_certificate() {
    for file in certificate.pem private_key.pem; do
        if [ -e "$etc/$file" ] || [ -L "$etc/$file" ]; then return 0; fi
    done
    action-server cert "$etc" >/dev/null
    # -h: never what a link leads to
    chown -h action: "$etc/private_key.pem"
    say "made a certificate for this machine, $etc/certificate.pem; clients need a copy"
}

# It is where passwords of nodes are. The packages know no group that they make themselves.
close_nodes() {
    if [ -f "$etc/nodes.yaml" ] && [ ! -L "$etc/nodes.yaml" ] && [ "$(stat -c %U:%G "$etc/nodes.yaml")" = root:root ]; then
        chgrp action "$etc/nodes.yaml" && chmod o= "$etc/nodes.yaml"
    fi
}

make_all() {
    make_user
    make_state
    make_secret
    make_revocations
    make_certificate
    close_nodes
}

# ---- the service

# As the distribution has chosen for services.
preset_service() {
    command -v systemctl >/dev/null || return 0
    systemctl --quiet preset "$service" || say "the service could not be preset"
}

# A server that runs is told to stop, which waits for its runs, before the new one is started.
restart_service() {
    runs_systemd || return 0
    systemctl daemon-reload || true
    "$@" "$service" || say "the service did not start; see: systemctl status $service"
}

stop_service() {
    runs_systemd || return 0
    "$@" stop action-server.socket "$service" || say "the service could not be stopped"
}

forget_service() {
    rm -f "/etc/systemd/system/multi-user.target.wants/$service" /etc/systemd/system/sockets.target.wants/action-server.socket
    runs_systemd || return 0
    systemctl daemon-reload || true
}

# ---- going for good

# What was made here, or by the server. Edited files, and commands that are the admin's own, are left for the admin.
purge_all() {
    forget_service
    if [ -L "$state" ]; then say "left the records, $(readlink "$state"), where $state leads"; fi
    rm -rf "$state" || say "$state could not be removed whole"
    rm -f "$etc/jwt_secret" "$etc/revoked.jsonl" "$etc/revoked.jsonl.lock" "$etc/certificate.pem" "$etc/private_key.pem"
    say "removed the records of all runs, the audit log, the secret and the certificate"
    # Another one of this name, who was there before, is not ours to remove.
    if [ "$(getent passwd action | cut -d: -f6)" = "$state" ]; then
        userdel action 2>/dev/null || say "the user action is left: userdel could not remove it"
    fi
    rmdir "$etc/libexec" "$etc" 2>/dev/null || true
    if [ -e "$etc" ]; then say "$etc is left, with what is not the package's"; fi
}
