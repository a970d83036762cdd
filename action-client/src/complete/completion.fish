# fish completion for action-client; put it into ~/.config/fish/completions, or
# `action-client completion fish | source` into ~/.config/fish/config.fish

function __action_client_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    # In quotes, as an empty word counts too.
    $program __complete fish $words "$current" 2>/dev/null
end

for name in action-client power estate flight-power flight-estate
    complete -c $name -a '(__action_client_complete)'
end
