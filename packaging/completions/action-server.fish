# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_action_server_global_optspecs
    string join \n config= h/help V/version
end

function __fish_action_server_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_action_server_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_action_server_using_subcommand
    set -l cmd (__fish_action_server_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c action-server -n "__fish_action_server_needs_command" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_needs_command" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_needs_command" -s V -l version -d 'Print version'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "serve" -d 'Run the server'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "generate-token" -d 'Print a token for a caller'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "tokens" -d 'List the tokens that generate-token has made'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "revoke" -d 'Revoke tokens; returns once that is in force'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "explain" -d 'Show who may run what on which nodes, and by which rule'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "check" -d 'Check the settings, nodes and commands'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "accept-nodes" -d 'Accept an edit of the nodes file that removes many nodes, or many members of a group'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "accept-clock" -d 'Accept a system clock that jumped, so that old records are removed again'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "cert" -d 'Write a certificate that the server signs itself, and its key'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "runs" -d 'Read the records of runs'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "init" -d 'Write settings, demo nodes, commands, a secret and a client\'s configuration'
complete -c action-server -n "__fish_action_server_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c action-server -n "__fish_action_server_using_subcommand serve" -l listen -d 'Listen on this address instead of the one in the settings; port 0 picks a free one' -r
complete -c action-server -n "__fish_action_server_using_subcommand serve" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand serve" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l days -d 'For how many days the token is good [default: 30]' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l for -d 'For how long the token is good, such as 90m or 12h, instead of whole days' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l subject -d 'Who the token is for [default: the user who runs this]' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l uid -d 'The bearer\'s user id, which scripts see as request_uid' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l role -d 'A role of the bearer; may be repeated' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l command -d 'Allow only commands that match this pattern, such as \'power-*\'; may be repeated' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l nodes -d 'Allow only these nodes, as a node set' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l key -d 'Sign with this secret of jwt_key_directory [default: its last by name that has no end, else the settings\' own]' -r
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand generate-token" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand tokens" -l output -d 'How to print' -r -f -a "text\t'A table'
json\t'One JSON object a line'"
complete -c action-server -n "__fish_action_server_using_subcommand tokens" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand tokens" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l jti -d 'The token with this jti, or the only issued token whose jti begins so' -r
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l subject -d 'The tokens of this subject that were made so far' -r
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l key -d 'The tokens that this key of jwt_key_directory has signed, and will' -r
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l before -d 'With --subject and --all: only those that were made up to this time, such as 2027-01-31T12:00:00Z' -r
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l exact -d 'Take --jti as a whole jti, as of tokens that are made elsewhere'
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -l all -d 'All tokens that were made so far'
complete -c action-server -n "__fish_action_server_using_subcommand revoke" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand explain" -l subject -d 'Whom to tell of [default: every subject and role that the policy names]' -r
complete -c action-server -n "__fish_action_server_using_subcommand explain" -l role -d 'A role that the subject\'s token says; may be repeated' -r
complete -c action-server -n "__fish_action_server_using_subcommand explain" -l command -d 'Tell of this command only' -r
complete -c action-server -n "__fish_action_server_using_subcommand explain" -s g -l nodes -d 'Tell of these nodes only [default: all]' -r
complete -c action-server -n "__fish_action_server_using_subcommand explain" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand explain" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand check" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand check" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand accept-nodes" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand accept-nodes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c action-server -n "__fish_action_server_using_subcommand accept-clock" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand accept-clock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c action-server -n "__fish_action_server_using_subcommand cert" -l name -d 'A host name or IP address that clients call the server by; may be repeated [default: this host\'s name, localhost, 127.0.0.1, ::1]' -r
complete -c action-server -n "__fish_action_server_using_subcommand cert" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand cert" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and not __fish_seen_subcommand_from export help" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand runs; and not __fish_seen_subcommand_from export help" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and not __fish_seen_subcommand_from export help" -f -a "export" -d 'Print every event of a run as one JSON object a line'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and not __fish_seen_subcommand_from export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and __fish_seen_subcommand_from export" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand runs; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print every event of a run as one JSON object a line'
complete -c action-server -n "__fish_action_server_using_subcommand runs; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c action-server -n "__fish_action_server_using_subcommand init" -l listen -d 'The address to listen on' -r
complete -c action-server -n "__fish_action_server_using_subcommand init" -l config -d 'The settings file [default: /etc/action/server.yaml]' -r -F
complete -c action-server -n "__fish_action_server_using_subcommand init" -s h -l help -d 'Print help'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "serve" -d 'Run the server'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "generate-token" -d 'Print a token for a caller'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "tokens" -d 'List the tokens that generate-token has made'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "revoke" -d 'Revoke tokens; returns once that is in force'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "explain" -d 'Show who may run what on which nodes, and by which rule'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "check" -d 'Check the settings, nodes and commands'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "accept-nodes" -d 'Accept an edit of the nodes file that removes many nodes, or many members of a group'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "accept-clock" -d 'Accept a system clock that jumped, so that old records are removed again'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "cert" -d 'Write a certificate that the server signs itself, and its key'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "runs" -d 'Read the records of runs'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "init" -d 'Write settings, demo nodes, commands, a secret and a client\'s configuration'
complete -c action-server -n "__fish_action_server_using_subcommand help; and not __fish_seen_subcommand_from serve generate-token tokens revoke explain check accept-nodes accept-clock cert runs init help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c action-server -n "__fish_action_server_using_subcommand help; and __fish_seen_subcommand_from runs" -f -a "export" -d 'Print every event of a run as one JSON object a line'
