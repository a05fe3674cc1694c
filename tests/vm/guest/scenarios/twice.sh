# A healthy world, looked at twice.
. /vm/lib.sh
outer -- /vm/inner/twice.sh
