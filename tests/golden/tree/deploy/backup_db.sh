#!/usr/bin/env bash
set -euo pipefail

KEEP_DAYS=35
TARGET="/var/backups/hazelmart"

dump_database() {
  local name="$1"
  pg_dump --format=custom --no-owner "$name" | age -r "$BACKUP_RECIPIENT" >"$TARGET/$name-$(date +%F).dump.age"
}

prune_old_backups() {
  find "$TARGET" -name '*.dump.age' -mtime "+$KEEP_DAYS" -print -delete
}

# A backup nobody has restored is only a hope.
verify_restore() {
  local name="$1" scratch="restore_check_$$"
  createdb "$scratch"
  age -d -i "$BACKUP_KEY" "$TARGET/$name-$(date +%F).dump.age" | pg_restore --no-owner -d "$scratch"
  psql -At -d "$scratch" -c 'SELECT count(*) FROM orders' | grep -qv '^0$'
  dropdb "$scratch"
}

for database in shop billing; do
  dump_database "$database"
  verify_restore "$database"
done
prune_old_backups
