# The platform Azure: virtual machines, by the az command line.
# shellcheck shell=bash
#
# Metadata of a node: azure_resource_group; azure_name when the machine is not called as the node; azure_subscription when
# it is not in the default one. The login is az's own affair: `az login` as the server's user, in HOME or AZURE_CONFIG_DIR.
. "$SCRIPT_ROOT/helpers/change.sh"

azure_open() {
  require_program az
  require_metadata azure_resource_group
  check_metadata azure_resource_group '[^-].*' "the name of a resource group"
  check_metadata azure_name '[^-].*' "the name of a virtual machine"
  call_open
  export AZURE_CORE_NO_COLOR=true AZURE_CORE_SURVEY_MESSAGE=false AZURE_CORE_DISABLE_CONFIRM_PROMPT=true
}

azure_vm() {
  local command=$1
  shift
  call azure az vm "$command" --resource-group "$azure_resource_group" --name "${azure_name:-$name}" "$@" \
    ${azure_subscription:+--subscription "$azure_subscription"} --only-show-errors
}

azure_complaint() {
  # ERROR: (CODE) TEXT, then more lines with the same
  first_line "$call_error"
  call_reason=${call_reason#ERROR: }
  local pattern=$'^(ERROR: )?\\(([A-Za-z0-9]+)\\) *([^\n]*)'
  [[ ! $call_error =~ $pattern ]] || call_reason="${BASH_REMATCH[2]}: ${BASH_REMATCH[3]}"
  case $call_reason in
    *"another operation is in progress"* | TooManyRequests:* | *Throttled*:* | *RequestLimit*:* | OperationNotAllowed:*"too many requests"* | \
      Conflict:* | *Conflict*:* | ServiceUnavailable:* | ServerTimeout:* | InternalServerError:* | RetryableError:* | OperationPreempted:* | *"(429)"* | *"many 429"* | *"many 503"*)
      call_kind=busy
      ;;
    *AllocationFailed:* | SkuNotAvailable:* | QuotaExceeded:* | *onnection* | *"Max retries exceeded"* | *"imed out"*) call_kind=away ;;
    AuthorizationFailed:* | *Authentication* | *"az login"* | *AADSTS*)
      call_kind=login
      ;;
  esac
}

azure_read() {
  local codes tag
  azure_vm get-instance-view --output tsv --query \
    "[[hardwareProfile.vmSize, location, join(',', instanceView.statuses[].code), tags.\"$change_tag\" || '-']]"
  IFS=$'\t' read -r node_machine azure_location codes tag <<<"$call_output"
  node_change=${tag#-}
  power_word=${codes##*PowerState/}
  power_word=${power_word%%,*}
  case $power_word:$codes in
    deallocated:*HibernationState/Hibernated*) power_state=SLEEPING ;;
    running:*) power_state=ON ;;
    starting:* | creating:*) power_state=PENDING ;;
    stopping:* | deallocating:*) power_state=STOPPING ;;
    stopped:* | deallocated:*) power_state=OFF ;;
    *) power_state=UNKNOWN ;;
  esac
}

# azure_power on|off|cycle: off gives the hardware back too, as nothing else ends its costs.
azure_power() {
  local -a wait=(--no-wait)
  # only by waiting does az tell why a change fails that was accepted
  [[ $command != estate-change ]] || wait=()
  case $1 in
    on) azure_vm start "${wait[@]}" ;;
    off) azure_vm deallocate "${wait[@]}" ;;
    cycle) azure_vm restart "${wait[@]}" ;;
  esac
}

azure_mark() {
  azure_vm update --set "tags.$change_tag=$1" --output none
}

azure_unmark() {
  azure_vm update --remove "tags.$change_tag" --output none
}

# azure_offers MACHINE: what the region has. A machine that runs is offered less, but it will not be running.
azure_offers() {
  call azure az vm list-sizes --location "$azure_location" --query '[].name' --output tsv --only-show-errors \
    ${azure_subscription:+--subscription "$azure_subscription"}
  offered=${call_output//[$'\t\n']/ }
  [[ " $offered " == *" $1 "* ]]
}

azure_retype() {
  # a machine that was shut down from within still holds its hardware, which may not do for the new size
  [[ $power_word != stopped ]] || azure_vm deallocate
  azure_vm resize --size "$1" --output none
}
