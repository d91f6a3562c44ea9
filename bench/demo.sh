#!/bin/sh
# Indexes a tree and asks it a few questions: bench/demo.sh MNEMOLITE TREE
set -eu
mnemolite=$1 tree=$2

ask() {
  printf '\n$ mnemolite search "%s"\n' "$1"
  "$mnemolite" search "$1" "$tree" --limit 3 || test $? -eq 1
}

printf '$ mnemolite index %s\n' "$tree"
"$mnemolite" index "$tree"
if [ "$tree" = . ]; then
  ask "which files does git ignore"
  ask "what happens when the parser crashes on a file"
  ask "combine two rankings into one"
  ask "StaticEmbedder"
else
  ask "where does the program start"
  ask "how are errors handled"
  ask "configuration"
fi
