#!/bin/sh
# Runs the command only where Docker-in-Docker works; the inner daemon stays up for it.
set -e
dindcheck verify --keep-daemon >&2
exec "$@"
