# The platform AWS: EC2 instances, by the aws command line (version 1 or 2).
# shellcheck shell=bash
#
# Metadata of a node: ec2_id (i-..) and aws_region.
# Credentials are aws's own affair: AWS_PROFILE and the like in script_environment, files in HOME, or the server's role.
. "$SCRIPT_ROOT/helpers/change.sh"

aws_open() {
  require_program aws
  require_metadata ec2_id aws_region
  check_metadata ec2_id 'i-[0-9a-z]+' "an instance ID, such as i-0123456789abcdef0"
  check_metadata aws_region '[a-z0-9-]+' "a region, such as eu-west-2"
  call_open
  # no pager and no questions; tries are counted and told by call
  export AWS_PAGER='' AWS_CLI_AUTO_PROMPT=off AWS_MAX_ATTEMPTS=1
}

aws_ec2() {
  call aws aws ec2 "$@" --region "$aws_region" --output text --cli-connect-timeout 10 --cli-read-timeout 60
}

aws_complaint() {
  # An error occurred (CODE) when calling the OPERATION operation (reached max retries: 0): TEXT
  local pattern=$'error occurred \\(([A-Za-z0-9.]+)\\) when calling the [A-Za-z]+ operation( \\([^)]*\\))?: ([^\n]*)'
  first_line "$call_error"
  [[ ! $call_error =~ $pattern ]] || call_reason="${BASH_REMATCH[1]}: ${BASH_REMATCH[3]}"
  case $call_reason in
    RequestLimitExceeded:* | Throttling*:* | RequestThrottled*:* | *Unavailable:* | SlowDown:* | InternalError:* | 50[0-9]:* | 429:*)
      call_kind=busy
      ;;
    InsufficientInstanceCapacity:* | Insufficient*Capacity:* | *"onnect to the endpoint URL"* | *"timeout on endpoint URL"* | *"Connection was closed"*)
      call_kind=away
      ;;
    UnauthorizedOperation:* | AuthFailure:* | *Expired*:* | InvalidClientTokenId:* | SignatureDoesNotMatch:* | AccessDenied*:* | *credentials* | *"config profile"*)
      call_kind=login
      ;;
  esac
}

aws_read() {
  local reason tag
  aws_ec2 describe-instances --instance-ids "$ec2_id" --query \
    "Reservations[0].Instances[0].[State.Name, StateReason.Code || '-', InstanceType, Architecture || '-', Tags[?Key=='$change_tag'].Value | [0] || '-']"
  IFS=$'\t' read -r power_word reason node_machine aws_architecture tag <<<"$call_output"
  node_change=${tag#-}
  case $power_word:$reason in
    running:*) power_state=ON ;;
    pending:*) power_state=PENDING ;;
    stopping:* | shutting-down:*) power_state=STOPPING ;;
    stopped:Client.UserInitiatedHibernate) power_state=SLEEPING ;;
    stopped:*) power_state=OFF ;;
    *) power_state=UNKNOWN ;;
  esac
}

aws_power() {
  case $1 in
    on) aws_ec2 start-instances --instance-ids "$ec2_id" ;;
    off) aws_ec2 stop-instances --instance-ids "$ec2_id" ;;
    cycle) aws_ec2 reboot-instances --instance-ids "$ec2_id" ;;
  esac
}

aws_mark() {
  aws_ec2 create-tags --resources "$ec2_id" --tags "Key=$change_tag,Value=$1"
}

aws_unmark() {
  aws_ec2 delete-tags --resources "$ec2_id" --tags "Key=$change_tag"
}

# aws_offers MACHINE: an instance keeps its processor architecture, and not every region has every type.
aws_offers() {
  local names
  names=$(machine_types aws | cut -d ' ' -f 2)
  aws_ec2 describe-instance-types --filters "Name=instance-type,Values=${names//$'\n'/,}" \
    "Name=processor-info.supported-architecture,Values=$aws_architecture" --query 'InstanceTypes[].InstanceType'
  offered=${call_output//[$'\t\n']/ }
  [[ " $offered " == *" $1 "* ]]
}

aws_retype() {
  aws_ec2 modify-instance-attribute --instance-id "$ec2_id" --instance-type "Value=$1"
}
