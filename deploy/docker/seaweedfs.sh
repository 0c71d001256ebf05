#!/bin/sh
# SeaweedFS with two identities: the administrator, and the services' user, which may use the stack's buckets only.
set -eu
secret() { cat "/run/secrets/$1"; }
prefix=${PIKA_BUCKET_PREFIX:-pika-}
actions=""
for bucket in raw images labels pikachu models runs; do
  for action in Read Write List Tagging; do
    actions="$actions${actions:+, }\"$action:$prefix$bucket\""
  done
done
umask 077
cat >/tmp/s3.json <<CONFIG
{"identities": [
  {"name": "administrator", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
   "credentials": [{"accessKey": "$(secret s3-root-user)", "secretKey": "$(secret s3-root-password)"}]},
  {"name": "pikastack", "actions": [$actions],
   "credentials": [{"accessKey": "$(secret s3-access-key)", "secretKey": "$(secret s3-secret-key)"}]}
]}
CONFIG
cd /tmp
exec weed -logtostderr=true mini -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -s3.port=9000 -s3.config=/tmp/s3.json \
  -s3.port.iceberg=0 -s3.port.lance=0 -admin.ui=false -webdav=false -master.telemetry=false
