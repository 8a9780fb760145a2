#!/usr/bin/env bash
# FerretDB 1, which speaks MongoDB's protocol, for the tests of its connector: built from its Go module into ~/go/bin. (`go install` alone makes a program that
# doesn't start: the module lacks the file with its version.)
set -euo pipefail
version=v1.24.2
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
from=$(cd "$folder" && go mod download -json "github.com/FerretDB/FerretDB@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$from" "$folder/ferretdb"
chmod -R u+w "$folder/ferretdb"
echo "$version" >"$folder/ferretdb/build/version/version.txt"
mkdir -p "$HOME/go/bin"
cd "$folder/ferretdb" && go build -o "$HOME/go/bin/ferretdb" ./cmd/ferretdb
