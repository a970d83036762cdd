# What the deb of a pack does with its commands, in front of its scripts. packaging/build sets $commands above this.
# shellcheck shell=sh disable=SC2154

# rename_metadata FROM TO: the endings
rename_metadata() {
    for command in $commands; do
        file=/etc/action/libexec/$command/metadata.yaml
        if [ -e "$file$1" ]; then mv "$file$1" "$file$2"; fi
    done
}
