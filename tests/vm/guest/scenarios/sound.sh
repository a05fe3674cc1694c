# A healthy world.
. /vm/lib.sh
outer -- /vm/inner/sound.sh
