# The example of docs/writing-commands.md, as it stands there: its files are written, and its commands must print what it says.
# shellcheck shell=bash disable=SC2016,SC2154,SC2317  # backticks, variables of platforms.sh, functions as conditions

document=$here/../docs/writing-commands.md

example_up() {
  local file='' line
  # a line `FILE`: is followed by the block that is its content
  while IFS= read -r line; do
    if [[ $line =~ ^\`(port-check/.*)\`:$ ]]; then
      file=$work/site/libexec/${BASH_REMATCH[1]}
      mkdir -p "${file%/*}"
    elif [[ $line == '```' ]]; then
      file=''
    elif [[ $line == '```'* ]]; then
      [[ -z $file ]] || : >"$file"
    elif [[ -n $file && -e $file ]]; then
      printf '%s\n' "$line" >>"$file"
    fi
  done <"$document"
  chmod 755 "$work"/site/libexec/port-check/*.sh
  grep '^web0[1-4]: ' "$document" | sed '/^web0[1-4]: {/!d' | nodes
  check "example: its three files and four nodes are there" test "$(find "$work/site/libexec/port-check" -type f | wc -l):$(grep -c '^web' "$work/site/nodes.yaml")" = 3:4
  check "example: shellcheck passes" shellcheck -x "$work"/site/libexec/port-check/*.sh
}

# its console, and what its commands print here, each beginning with the command
example_checks() {
  local line
  sed -n '/^```console$/,/^```$/{/^```/!p}' "$document" | sorted >"$work/told"
  while IFS= read -r line; do
    printf '%s\n' "$line"
    read -r -a words <<<"${line#$ }"
    words=("${words[@]//\'/}")
    (cd "$work" && "$programs/${words[0]}" "${words[@]:1}" 2>&1)
  done < <(grep '^\$ ' "$work/told") | sorted >"$work/shown"
  check "example: which are six commands" test "$(grep -c "^\$ " "$work/told")" = 6
  check "example: what its commands print is what the document says" diff "$work/told" "$work/shown"
}

# lines of several nodes come in any order
sorted() {
  awk '/^\$ / { command++ } { print command "\t" (/^\$ / ? 0 : /^web0/ ? 1 : 2) "\t" $0 }' | LC_ALL=C sort -s -t $'\t' -k 1,1n -k 2,2n -k 3 | cut -f 3-
}
