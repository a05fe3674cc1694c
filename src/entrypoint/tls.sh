# Are there certificates in "$1" that dockerd and its clients can use? Makes what is missing or over, with openssl.
# A certificate authority without its key was brought along, and with it everything that it signed.
set -eu
umask 077
dir=$1
mkdir -p "$dir/ca" "$dir/server" "$dir/client"
[ -s "$dir/ca/cert.pem" ] && [ ! -s "$dir/ca/key.pem" ] && exit 0
good() { [ -s "$1" ] && openssl x509 -checkend 86400 -noout -in "$1" >/dev/null && openssl verify -CAfile "$dir/ca/cert.pem" "$1" >/dev/null; }
key() { [ -s "$1" ] || openssl genrsa -out "$1" 4096 2>/dev/null; }

key "$dir/ca/key.pem"
good "$dir/ca/cert.pem" || openssl req -new -x509 -key "$dir/ca/key.pem" -out "$dir/ca/cert.pem" -subj '/CN=dindcheck CA' -days 825

# sign KIND EXTENSIONS
sign() {
    key "$dir/$1/key.pem"
    good "$dir/$1/cert.pem" || {
        printf '%s\n' "[x509_exts]" "$2" >"$dir/$1/openssl.cnf"
        openssl req -new -key "$dir/$1/key.pem" -out "$dir/$1/csr.pem" -subj "/CN=dindcheck $1"
        openssl x509 -req -in "$dir/$1/csr.pem" -CA "$dir/ca/cert.pem" -CAkey "$dir/ca/key.pem" -CAcreateserial \
            -out "$dir/$1/cert.pem" -days 825 -extfile "$dir/$1/openssl.cnf" -extensions x509_exts 2>/dev/null
    }
    cp "$dir/ca/cert.pem" "$dir/$1/ca.pem"
}

names="DNS:$(hostname),DNS:docker,DNS:localhost,IP:127.0.0.1,IP:::1"
for address in $(hostname -i 2>/dev/null || true); do names="$names,IP:$address"; done
sign server "subjectAltName = $names${DOCKER_TLS_SAN:+,$DOCKER_TLS_SAN}"
sign client 'extendedKeyUsage = clientAuth'
chmod -R a+rX "$dir/client"
