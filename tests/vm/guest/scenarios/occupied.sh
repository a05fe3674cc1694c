# Processes in the root cgroup, and a daemon that tried all the same.
. /vm/lib.sh
outer -- /vm/inner/occupied.sh
