#!/bin/sh
# Makes, in the folder $1, the certificates that the TLS tests use: an authority, and two servers that
# it vouches for. They protect nothing, and are made anew for each run of the tests.
set -eu
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj "/CN=Penstock test authority" -keyout authority.key -out authority.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"
for name in localhost elsewhere.test; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" \
        -keyout "$name.key" -out "$name.csr"
    printf 'subjectAltName=DNS:%s\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n' "$name" > "$name.ext"
    openssl x509 -req -in "$name.csr" -CA authority.pem -CAkey authority.key -CAcreateserial \
        -days 2 -extfile "$name.ext" -out "$name.crt"
    cat "$name.key" "$name.crt" > "$name.pem"
    rm "$name.key" "$name.crt" "$name.csr" "$name.ext"
done
rm authority.key authority.srl
