# Processes in the root cgroup, and an engine that tried all the same.
. /vm/lib.sh
outer -- /vm/inner/occupied.sh
