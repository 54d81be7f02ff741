#!/bin/sh
# Makes, in the folder $1, the certificates that the TLS tests use: an authority, two servers that it
# vouches for, one for whom it did so until yesterday, and one that vouches for itself. They protect
# nothing, and are made anew for each run of the tests.
set -eu
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj "/CN=Penstock test authority" -keyout authority.key -out authority.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"
for name in localhost elsewhere.test expired; do
    host=$name days=2
    test "$name" != expired || { host=localhost; days=-1; }
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$host" \
        -keyout "$name.key" -out "$name.csr"
    printf 'subjectAltName=DNS:%s\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n' "$host" > "$name.ext"
    openssl x509 -req -in "$name.csr" -CA authority.pem -CAkey authority.key -CAcreateserial \
        -days "$days" -extfile "$name.ext" -out "$name.crt"
    cat "$name.key" "$name.crt" > "$name.pem"
    rm "$name.key" "$name.crt" "$name.csr" "$name.ext"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost" -keyout itself.key -out itself.crt
cat itself.key itself.crt > itself.pem
rm itself.key itself.crt
rm authority.key authority.srl
