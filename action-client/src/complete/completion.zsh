#compdef action-client power estate flight-power flight-estate
# zsh completion for action-client; put it as _action-client into a directory of $fpath, or
# `source <(action-client completion zsh)` after compinit into ~/.zshrc

_action_client() {
    local line word
    local -a found shown
    for line in "${(@f)$("${(Q)words[1]}" __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        word=${line%%$'\t'*}
        found+=("$word")
        if [[ $line == *$'\t'* ]]; then
            shown+=("$word -- ${line#*$'\t'}")
        else
            shown+=("$word")
        fi
    done
    if (( ${#found} )); then
        compadd -Q -l -d shown -- "${found[@]}"
    else
        _files
    fi
}

if [[ $funcstack[1] == _action-client || $funcstack[1] == _action_client ]]; then
    _action_client "$@"
else
    compdef _action_client action-client power estate flight-power flight-estate
fi
