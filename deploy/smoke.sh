#!/bin/sh
# smoke.sh IMAGE [OPTION...]: does Docker-in-Docker work in IMAGE? Starts it as a privileged outer container, runs
# dindcheck in it with these options, and ends with its exit code (0 sound, 1 broken, 2 could not tell, 64 usage).
#
#   DINDCHECK          the binary; the one in PATH where it is not set
#   DINDCHECK_REPORTS  where report.json, junit.xml, summary.md and report.html go; ./dindcheck-report
#   DINDCHECK_FORMAT   what stdout gets: human, json, junit, github ...
#   DINDCHECK_RUN      further options of `docker run`, such as "--cgroupns=host --network=none"
#
# The binary and the reports are copied over Docker's API, so the daemon may be a remote one.
set -eu
image=${1:?usage: smoke.sh IMAGE [OPTION...]}
shift
binary=${DINDCHECK:-$(command -v dindcheck)} || { echo "smoke.sh: dindcheck is not in PATH; DINDCHECK=FILE names it" >&2; exit 64; }
reports=${DINDCHECK_REPORTS:-dindcheck-report}

mkdir -p "$reports"
rm -f "$reports/report.json" "$reports/junit.xml" "$reports/summary.md" "$reports/report.html"
# What goes wrong outside of dindcheck says nothing about Docker-in-Docker.
cannot() { echo "smoke.sh: $1" >&2; exit 2; }
# shellcheck disable=SC2086  # several options
container=$(docker create --privileged -v /var/lib/docker ${DINDCHECK_RUN:-} --entrypoint /dindcheck "$image" verify \
    --profile ci --format "${DINDCHECK_FORMAT:-human}" --output json=/dindcheck-report/report.json --output junit=/dindcheck-report/junit.xml \
    --output markdown=/dindcheck-report/summary.md --output html=/dindcheck-report/report.html "$@") ||
    cannot "no container of $image can be made"
trap 'docker rm -fv "$container" >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
{ docker cp -L "$binary" "$container:/dindcheck" && docker cp "$reports/." "$container:/dindcheck-report"; } >/dev/null ||
    cannot "$binary cannot be copied into a container of $image"

docker start -a "$container" || true
case $(docker inspect -f '{{.State.StartedAt}}' "$container") in 0001-*) cannot "$image cannot be started" ;; esac
docker cp "$container:/dindcheck-report/." "$reports" >/dev/null || cannot "the reports cannot be copied out"
exit "$(docker inspect -f '{{.State.ExitCode}}' "$container")"
