# fish completion for action-client; put it into ~/.config/fish/completions, or
# `action-client completion fish | source` into ~/.config/fish/config.fish

function __action_client_complete
    set -l words (commandline -opc)
    $words[1] __complete fish $words[2..-1] (commandline -ct) 2>/dev/null
end

for name in action-client power estate flight-power flight-estate
    complete -c $name -a '(__action_client_complete)'
end
