# What the commands of a page find, in the shell that test_pages.py gives them.
set -euo pipefail
trap 'set +v; kill $(jobs -p) 2> /dev/null || true; wait' EXIT
export BROWSER=true
declare -A beside

curl() { command curl --fail "$@"; } # a page's request that is refused fails

# What serves does so beside the rest, as in a terminal of its own, until the page starts it anew.
mnemolite() {
  case $1 in
    serve) serves http://127.0.0.1:8001/health "$@" --port 8001 ;;
    embedder) serves http://127.0.0.1:8002/ready "$@" --port 8002 --grpc-port 8003 ;;
    worker) serves http://127.0.0.1:8004/metrics "$@" --port 8004 ;;
    ui) serves http://127.0.0.1:8005/ "$@" --port 8005 ;;
    *) command mnemolite "$@" ;;
  esac
}

serves() { # URL COMMAND ...
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
  until curl --silent --output /dev/null "$1"; do
    kill -0 "${beside[$2]}"
    sleep 0.1
  done
}
