#!/bin/sh
# Makes library_pb.ts of library.proto, in this folder. The annotations that it imports are generated
# already, elsewhere in this repository.
set -eu
root=$(cd ../../../.. && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cp -r "$root/src/protocols/protobuf/proto/google" "$work"
cp library.proto "$work"
cat > "$work/buf.gen.yaml" <<EOF
version: v2
plugins:
  - local: protoc-gen-es
    out: out
    opt: [target=ts, import_extension=ts, erasable_syntax=true]
EOF
(cd "$work" && PATH="$root/node_modules/.bin:$PATH" buf generate --path library.proto)
sed 's#"./google/api/#"../../../protocols/protobuf/proto/google/api/#' "$work/out/library_pb.ts" > library_pb.ts
