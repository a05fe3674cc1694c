# Packages of a Debian suite that this machine's apt knows nothing of. Sourced after ../bed/lib.sh.

# suite_apt SUITE...: points APT at an index of these suites and of nothing else, refreshed. Usage: apt-get "${APT[@]}" ...
# The machine's own sources stay as they are. The machine's archive key serves; what it is called differs by release.
suite_apt() {
    local dir suite mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    host_packages $keyring=debian-archive-keyring
    dir=$BED/vm/apt/$*
    dir=${dir// /+}
    mkdir -p "$dir"/{lists,cache}/partial
    for suite; do
        mirror=$(find_mirror "$suite")
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done >"$dir/sources.list"
    APT=(-qq -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::PreferencesParts=/dev/null -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
        -o APT::Sandbox::User=root -o Acquire::Languages=none)
    apt-get "${APT[@]}" update >&2
}
