# As far as the limits of a container, with the default repair.
. /vm/inner/lib.sh
verify first --until container-limits
