# The rank aws: moto's EC2 with EC2's own strictness, behind a proxy that can throttle, and the real aws.
# shellcheck shell=bash disable=SC2154,SC2317  # variables of platforms.sh, functions as conditions

aws_up() {
  export AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_PAGER='' \
    AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_ACCESS_KEY_ID=tests AWS_SECRET_ACCESS_KEY
  AWS_SECRET_ACCESS_KEY=$(<"$work/aws-password")
  local variable
  for variable in "${!AWS_@}"; do settings+=$'\n'"  $variable: '${!variable}'"; done
  daemon ec2 env MOTO_EC2_LOAD_DEFAULT_AMIS=true EC2_DELAY=0.5 EC2_HOLD="$work/hold" EC2_NO_CAPACITY=m5.4xlarge "$venv/bin/python" "$fixtures/ec2.py" -H 127.0.0.1 -p 5001
  daemon throttle python throttle 5000 5001
  answers() { quiet curl --fail http://127.0.0.1:5001/moto-api/data.json && quiet throttle 0 requests; }
  must "EC2 is there" until_true 60 answers

  aws_instance aws1 t3.medium eu-west-1
  aws_instance aws2 r5.large us-east-1
  local arm
  arm=$(aws ec2 describe-images --region eu-west-1 --filters Name=architecture,Values=arm64 --query 'Images[0].ImageId' --output text)
  aws_instance awsarm c7g.4xlarge eu-west-1 "$arm"
  aws_instance awsgone t3.medium eu-west-1
  quiet aws ec2 terminate-instances --region eu-west-1 --instance-ids "${instance[awsgone]}"
  aws_cuts
  nodes <<END
awsnone: {ranks: [aws], ec2_id: i-0123456789abcdef0, aws_region: eu-west-1}
awsbare: {ranks: [aws], aws_region: eu-west-1}
awsbad: {ranks: [aws], aws_region: eu-west-1, ec2_id: --all}
awslogin: {ranks: [aws], ec2_id: ${instance[aws1]}, aws_region: eu-west-1, AWS_PROFILE: nobody}
END
}

throttle() { curl --silent -X PUT "http://127.0.0.1:5000/throttle/$1/$2"; }

# aws_instance NODE TYPE REGION [IMAGE] [METADATA]: makes it, and the node of it
declare -A instance
aws_instance() {
  instance[$1]=$(aws ec2 run-instances --region "$3" --image-id "${4:-ami-12c6146b}" --instance-type "$2" --count 1 \
    --query 'Instances[0].InstanceId' --output text)
  echo "$1: {ranks: [aws], ec2_id: ${instance[$1]}, aws_region: $3${5:+, $5}}" | nodes
}

# aws_shows NODE REGION: "STATE TYPE" and the tags, by aws itself
aws_shows() {
  aws ec2 describe-instances --region "$2" --instance-ids "${instance[$1]}" --output text \
    --query 'Reservations[0].Instances[0].[State.Name, InstanceType, Tags[].Value]' | xargs
}
aws_is() { [[ $(aws_shows "$1" "$2") == "$3" ]]; }

aws_checks() {
  aws_power
  aws_estate
  aws_refusals
  aws_throttled
  aws_recovers
}

# waited FIRST LAST: lines of the run's stdout; which states were seen between is a matter of luck
waited() { [[ $code == 0 && -z $err && $out == "$1"$'\n'* && $out == *$'\n'"$2" ]]; }

aws_power() {
  run power-status aws1
  check "aws: power-status of a node that is on" is 0 ON
  : >"$work/hold"
  run power-off aws1
  check "aws: power-off" is 0 "powering off"
  run power-status aws1
  check "aws: power-status on the way to OFF" is 0 STOPPING
  run power-on aws1 --timeout 8s
  check "aws: power-on waits for what is under way" test "$code:$out" = 253:STOPPING
  rm "$work/hold"
  check "aws: and aws says that it is OFF" until_true 20 aws_is aws1 eu-west-1 "stopped t3.medium None"
  : >"$work/hold"
  run power-on aws1
  check "aws: power-on" is 0 "powering on"
  run power-status aws1
  check "aws: power-status on the way to ON" is 0 PENDING
  rm "$work/hold"
  check "aws: and aws says so" until_true 20 aws_is aws1 eu-west-1 "running t3.medium None"
  run power-cycle aws1
  check "aws: power-cycle" is 0 "power cycling"
  run power-off aws1 --wait
  check "aws: power-off --wait" waited "powering off" OFF
  check "aws: and aws says that it is OFF" aws_is aws1 eu-west-1 "stopped t3.medium None"
  run power-on aws1 --wait
  check "aws: power-on --wait" waited "powering on" ON
  check "aws: and aws says that it is ON" aws_is aws1 eu-west-1 "running t3.medium None"
  run power-off aws2
  check "aws: a node in another region" is 0 "powering off"
  check "aws: and aws says so" until_true 20 aws_is aws2 us-east-1 "stopped r5.large None"
  run power-status aws2
  check "aws: power-status of a node that is off, a success" is 0 OFF
}

aws_estate() {
  run estate-show aws1
  check "aws: estate-show" is 0 general-small
  run estate-show awsarm
  check "aws: estate-show of what is not in the list" is 0 "unknown (c7g.4xlarge)"
  run estate-change aws1 gpu-large
  # whether it is seen on its way is by chance
  out=$(grep -vx 'STOPPING\|PENDING' <<<"$out")
  check "aws: estate-change of a node that is ON" is 0 "$(lines "changing from general-small to gpu-large" "powering off" OFF \
    "changed to gpu-large" "powering on" ON)"
  check "aws: and aws says so, without a tag" aws_is aws1 eu-west-1 "running g4dn.12xlarge None"
  run estate-change aws1 gpu-large
  check "aws: estate-change to the same type" is 0 "already gpu-large"
  run estate-change aws2 mem-medium
  check "aws: estate-change of a node that is OFF" is 0 "$(lines "changing from mem-small to mem-medium" "changed to mem-medium" "leaving it OFF")"
  check "aws: and aws says so" aws_is aws2 us-east-1 "stopped r5.2xlarge None"

  run estate-change aws1 gpu-huge
  check "aws: a type that is none" refused 64 "unknown machine type 'gpu-huge'" "possible on aws: general-small general-medium"
  run estate-change awsarm general-small
  check "aws: a type of another architecture" refused 64 "awsarm cannot be general-small" "possible for awsarm: none"
  printf '%s\n' "aws  arm-small  t4g.small" >>"$work/site/libexec/helpers/machine-types"
  run estate-change awsarm general-small
  check "aws: a line in machine-types is at once what is possible" refused 64 "possible for awsarm: arm-small"
  check "aws: a refused change touches nothing" aws_is awsarm eu-west-1 "running c7g.4xlarge None"
  run estate-change awsarm arm-small
  check "aws: and can be changed to" same "$code" 0
  check "aws: and aws says so" aws_is awsarm eu-west-1 "running t4g.small None"

  quiet aws ec2 create-tags --region eu-west-1 --resources "${instance[aws1]}" --tags Key=action-estate-change,Value=junk
  run power-off aws1
  check "aws: a tag of somebody else" refused 78 "aws1 tagged with action-estate-change 'junk'"
  quiet aws ec2 delete-tags --region eu-west-1 --resources "${instance[aws1]}" --tags Key=action-estate-change

  run estate-change aws1 general-large
  check "aws: no capacity for the new type: says how to go on" refused 75 InsufficientInstanceCapacity "run 'estate-change aws1 general-large' again" "leaves the node ON"
  run estate-show aws1
  check "aws: estate-show tells of it" refused 0 "an estate-change of aws1 to general-large was interrupted"
  run estate-change aws1 general-small
  check "aws: another type completes it, and the node is ON" same "$code:$(tail -n 1 <<<"$out")" 0:ON
  check "aws: and aws says so" aws_is aws1 eu-west-1 "running t3.medium None"
}

aws_refusals() {
  run power-status awsnone
  check "aws: no such instance" refused 76 "InvalidInstanceID.NotFound"
  run power-on awsgone
  check "aws: a terminated instance" refused 76 "aws says that awsgone is 'terminated'"
  run power-status awsgone
  check "aws: its state is UNKNOWN, a failure" test "$code:$out" = 76:UNKNOWN
  run power-off awsbare
  check "aws: no ec2_id: node, key and file" refused 78 "node awsbare has no metadata 'ec2_id'" "to 'awsbare:' in the nodes file"
  run power-off awsbad
  check "aws: ec2_id is no option of aws" refused 78 "node awsbad has 'ec2_id: --all'"
  run power-off awslogin
  check "aws: credentials that are not there" refused 77 "nobody"
}

aws_throttled() {
  throttle 2 requests
  run power-off aws1
  check "aws: throttled twice: told, and done all the same" refused 0 "aws is busy (RequestLimitExceeded: Request limit exceeded.): attempt 2 of 6" "attempt 3 of 6"
  check "aws: and aws says so" until_true 20 aws_is aws1 eu-west-1 "stopped t3.medium None"
  throttle 1 plain
  run power-status aws1
  check "aws: a plain 503" refused 0 "aws is busy (503" "attempt 2 of 6"
  throttle 99 requests
  run power-status aws1
  check "aws: throttled for too long" refused 75 "aws is busy, and was after 6 attempts"
  throttle 0 requests
  # each wait is longer than the one before, though less by chance: from 0.1 s on, doubled
  waits=$(sed -n 's/.* in \([0-9]*\)\.\([0-9]*\) s$/\1\2/p' <<<"$err" | xargs)
  read -r -a wait <<<"$waits"
  check "aws: with a back-off ($waits ms)" test "${#wait[@]}" = 5 -a "${wait[4]#"${wait[4]%%[!0]*}"}" -gt "${wait[0]#"${wait[0]%%[!0]*}"}"
}

# a node for each step of estate-change after which it is cut off: ON and OFF, killed and asked to end
aws_cuts() {
  local step
  for step in create-tags stop-instances modify-instance-attribute start-instances delete-tags; do
    aws_instance "awscut-on-${step%%-*}-kill" t3.medium eu-west-1 '' "cut_after: $step, cut_signal: KILL"
  done
  for step in stop-instances modify-instance-attribute; do
    aws_instance "awscut-on-${step%%-*}-term" t3.medium eu-west-1 '' "cut_after: $step, cut_signal: TERM"
  done
  for step in create-tags modify-instance-attribute delete-tags; do
    aws_instance "awscut-off-${step%%-*}-kill" t3.medium eu-west-1 '' "cut_after: $step, cut_signal: KILL"
    quiet aws ec2 stop-instances --region eu-west-1 --instance-ids "${instance[awscut-off-${step%%-*}-kill]}"
  done
}

aws_recovers() {
  run estate-change -g 'awscut-*' mem-small
  check "aws: two changes are asked to end" has "$err" "(2): signal 15"
  check "aws: 8 are killed, after each of the steps" has "$err" "(8): signal 9"
  check "aws: TERM says how to go on" same "$(grep -c "again: it completes the change and leaves the node ON" <<<"$err")" 2
  aws_marks >"$work/marks"
  check "aws: those whose last step was not done are marked with what is to be done" same "$(sort "$work/marks" | uniq -c | xargs)" \
    "2 None 2 mem-small:OFF 6 mem-small:ON"
  run power-on awscut-on-stop-kill
  check "aws: power-on meanwhile tells of it" refused 0 "run 'estate-change awscut-on-stop-kill mem-small' to complete it"
  run power-off awscut-on-modify-kill
  check "aws: power-off meanwhile tells of it too" refused 0 "run 'estate-change awscut-on-modify-kill mem-small' to complete it"
  run estate-change -g 'awscut-*' mem-small
  check "aws: a second change completes all" refused 0 "ok awscut" "(10)"
  cut=$(aws ec2 describe-instances --region eu-west-1 --output text --query 'Reservations[].Instances[].[InstanceId, State.Name, InstanceType, Tags[].Value]' |
    grep -F "$(for node in "${!instance[@]}"; do [[ $node != awscut-* ]] || echo "${instance[$node]}"; done)" | cut -f 2- | sort | uniq -c | xargs)
  check "aws: to the wanted type and the former state of power, or the one asked for since, without tags" \
    same "$cut" "6 running r5.large None 4 stopped r5.large None"
}

aws_marks() {
  local node
  for node in "${!instance[@]}"; do
    [[ $node != awscut-* ]] || echo "${instance[$node]}"
  done | xargs aws ec2 describe-instances --region eu-west-1 --output text --query "Reservations[].Instances[].[Tags[0].Value]" --instance-ids
}
