#!/bin/sh
# Indexes a tree and asks it a few questions: bench/demo.sh MNEMOLITE TREE
set -eu
mnemolite=$1 tree=$2 where=$2

ask() {
  printf '\n$ mnemolite search "%s" %s\n' "$1" "$where"
  "$mnemolite" search "$1" "$where" --limit 3 || test $? -eq 1
}

printf '$ mnemolite index %s\n' "$tree"
"$mnemolite" index "$tree"
if [ "$tree" = . ]; then
  where=src
  ask "which files are left out of the index"
  ask "a file that crashes its parser"
  ask "combine several rankings into one"
  ask "StaticEmbedder"
else
  ask "where does the program start"
  ask "how are errors handled"
  ask "configuration"
fi
