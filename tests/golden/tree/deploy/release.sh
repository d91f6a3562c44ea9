#!/usr/bin/env bash
# Rolls a new version out, one slice of the machines at a time.
set -euo pipefail

ENVIRONMENT="${1:?usage: release.sh <environment> <version>}"
VERSION="${2:?usage: release.sh <environment> <version>}"
SLICES=(10 50 100)

log() {
  printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >&2
}

wait_until_healthy() {
  local url="$1" tries="${2:-30}"
  for ((i = 1; i <= tries; i++)); do
    if curl -fsS --max-time 3 "$url/healthz" >/dev/null; then
      return 0
    fi
    sleep 2
  done
  return 1
}

error_rate() {
  curl -fsS "https://metrics.$ENVIRONMENT.hazelmart.example/api/error_rate?version=$VERSION" | tr -d '[:space:]'
}

shift_traffic() {
  local percent="$1"
  log "sending $percent % of the traffic to $VERSION"
  kubectl --context "$ENVIRONMENT" set env deployment/router "CANARY_PERCENT=$percent" "CANARY_VERSION=$VERSION"
}

rollback() {
  log "going back to the previous version"
  shift_traffic 0
  kubectl --context "$ENVIRONMENT" rollout undo deployment/services
}

main() {
  kubectl --context "$ENVIRONMENT" set image deployment/services "services=registry.hazelmart.example/services:$VERSION"
  wait_until_healthy "https://canary.$ENVIRONMENT.hazelmart.example" || { rollback; exit 1; }
  for percent in "${SLICES[@]}"; do
    shift_traffic "$percent"
    sleep 120
    if [ "$(error_rate)" -gt 2 ]; then
      rollback
      exit 1
    fi
  done
  log "version $VERSION is live"
}

main
