# bash completion for action-client; put `source <(action-client completion bash)` into ~/.bashrc

_action_client() {
    local line=${COMP_LINE:0:COMP_POINT} words cur typed
    # Bash splits words at characters that node sets have, so the line is split again.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    cur=${words[-1]}
    local program=${1/#\~/$HOME}
    mapfile -t COMPREPLY < <("$program" __complete bash "${words[@]:1}" 2>/dev/null)
    # What bash puts in is only what stands behind its last split.
    typed=${COMP_WORDS[COMP_CWORD]}
    [[ $COMP_WORDBREAKS == *"$typed"* ]] && typed=
    local behind=${cur%"$typed"}
    COMPREPLY=("${COMPREPLY[@]#"$behind"}")
    # A set may go on after a number in brackets.
    [[ ${COMPREPLY[0]-} == *'['* && ${COMPREPLY[0]-} != *']'* || $cur == *'['* ]] &&
        compopt -o nospace 2>/dev/null
    return 0
}

complete -o bashdefault -o default -F _action_client \
    action-client power estate flight-power flight-estate
