#!/bin/sh
# A newcomer's way, timed: a clone, the demo, a tree of one's own indexed, an agent connected: sh bench/newcomer.sh TREE
set -eu
tree=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start=$(date +%s)

step() {
  now=$(date +%s)
  "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  printf '%4d s  %s\n' "$(($(date +%s) - now))" "$(printf '%s' "$*" | sed "s#$work/##g; s#$here#MnemoLite#")"
}

cp -r "$tree" "$work/own"
rm -rf "$work/own/.mnemolite"
mkdir -p "$work/home/.claude"
step git clone -q "$here" "$work/clone"
step make -C "$work/clone" demo
step "$work/clone/.venv/bin/mnemolite" index "$work/own"
step "$work/clone/.venv/bin/mnemolite" search "where are errors handled?" "$work/own"
cd "$work/own"
HOME=$work/home step "$work/clone/.venv/bin/mnemolite" install --agent claude-code --yes
printf '%4d s  in all\n' "$(($(date +%s) - start))"
