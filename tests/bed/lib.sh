# What all scripts of the test bed share: where the bed is, messages, locks between runs, packages. Sourced, never run.

set -euo pipefail

BED=${DINDCHECK_BED:-/var/cache/dindcheck}
[[ $BED == /* ]] || BED=$PWD/$BED
# shellcheck disable=SC2034  # used where this is sourced
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# stdout is for data that a caller reads; everything said to a person goes to stderr.
log() { printf '[bed] %s\n' "$*" >&2; }
die() {
    printf '[bed] error: %s\n' "$*" >&2
    exit 1
}

need_root() { [[ $EUID -eq 0 ]] || die "${0##*/} needs root: it makes namespaces, mounts and device nodes"; }

# lock NAME: hold this lock until the script ends. The descriptor is LOCK_FD; whatever outlives the script must
# be started with it closed.
lock() {
    mkdir -p "$BED/locks"
    exec {LOCK_FD}>"$BED/locks/$1"
    flock -w 2 "$LOCK_FD" && return
    log "waiting for another run that holds the lock $1"
    flock -w 900 "$LOCK_FD" || die "the lock $BED/locks/$1 did not come free"
}

# host_packages COMMAND-OR-FILE=PACKAGE...: install the packages whose command or file is missing here. The
# package index is refreshed only if the index at hand does not do.
host_packages() {
    local want missing=()
    for want; do
        case ${want%%=*} in
            /*) [[ -e ${want%%=*} ]] || missing+=("${want#*=}") ;;
            *) command -v "${want%%=*}" >/dev/null || missing+=("${want#*=}") ;;
        esac
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "missing here: ${missing[*]} (and no apt-get to install them)"
    (
        lock host-packages
        export DEBIAN_FRONTEND=noninteractive
        log "installing ${missing[*]}"
        apt_install "${missing[@]}" 2>/dev/null && exit
        log "refreshing the package index"
        apt-get -qq update >&2 && apt_install "${missing[@]}"
    ) || die "could not install ${missing[*]}"
}

apt_install() { apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null; }

# find_mirror SUITE: the archive this machine itself installs from, first one that has the suite. DINDCHECK_MIRROR overrides it.
find_mirror() {
    local suite=$1 uri file
    file=$(mktemp)
    for uri in ${DINDCHECK_MIRROR:-$(archives)}; do
        if /usr/lib/apt/apt-helper -qq download-file "${uri%/}/dists/$suite/Release" "$file" >/dev/null 2>&1 &&
            grep -qxE 'Origin: Debian( Backports)?' "$file" && grep -qx "Codename: $suite" "$file"; then
            rm -f "$file"
            echo "${uri%/}"
            return
        fi
    done
    rm -f "$file"
    die "no archive in this machine's apt sources has the suite $suite (DINDCHECK_MIRROR=URI names one)"
}

# apt reads both formats of its sources better than we could. Suites that hold only a part of Debian do not serve.
archives() {
    # shellcheck disable=SC2016  # expanded by apt
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$2 == "main" && $1 !~ /-(security|updates|backports)/ && !seen[$3]++ { print $3 }'
}
