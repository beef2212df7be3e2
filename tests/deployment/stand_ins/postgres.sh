#!/usr/bin/env bash
# What the official image documents of its start: an empty folder becomes a cluster with
# POSTGRES_PASSWORD, by a server that listens on its socket only; then the command runs.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  pg_ctl --wait --mode=fast stop
fi
exec "$@"
