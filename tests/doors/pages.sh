# What the commands of a page find, in the shell that test_pages.py gives them.
set -euo pipefail
trap 'set +v; kill $(jobs -p) 2> /dev/null || true; wait' EXIT
export BROWSER=true
declare -A beside

curl() { command curl --fail "$@"; } # a page's request that is refused fails

# What serves does so beside the rest, as in a terminal of its own, until the page starts it anew.
mnemolite() {
  case $1 in
    serve) serves 8001 "$@" --port 8001 ;;
    embedder) serves 8002 "$@" --port 8002 --grpc-port 8003 ;;
    worker) serves 8004 "$@" --port 8004 ;;
    mcp) serves 8005 "$@" --port 8005 ;;
    ui) serves 8006 "$@" --port 8006 ;;
    *) command mnemolite "$@" ;;
  esac
}

serves() { # PORT COMMAND ...
  if ((BASH_SUBSHELL)); then # the page says itself: beside the rest
    exec mnemolite "${@:2}"
  fi
  local pid=${beside[$2]:-}
  if [[ $pid ]]; then
    kill "$pid"
    wait "$pid" || true
  fi
  command mnemolite "${@:2}" &
  beside[$2]=$!
  until { : < "/dev/tcp/127.0.0.1/$1"; } 2> /dev/null; do
    kill -0 "${beside[$2]}"
    sleep 0.1
  done
}
