# Everything, with the default repair.
. /vm/inner/lib.sh
verify first
