#!/bin/sh
# SeaweedFS with an identity for the administrator and one for each service, which has the rights that setup-store.sh
# gives on MinIO. Master, filer and volumes know no identities: they listen inside the container only.
set -eu
secret() { cat "/run/secrets/$1"; }
prefix=${PIKA_BUCKET_PREFIX:-pika-}

actions() { # READABLE CHANGEABLE, patterns between blanks
  set -f # the patterns are the store's, not the shell's
  found=""
  for bucket in raw images labels pikachu models runs; do found="$found, \"List:$prefix$bucket\""; done
  for pattern in $1; do found="$found, \"Read:$prefix$pattern\""; done
  for pattern in $2; do found="$found, \"Read:$prefix$pattern\", \"Write:$prefix$pattern\""; done
  printf %s "${found#, }"
}
identity() { # SERVICE READABLE CHANGEABLE
  printf '{"name": "%s", "actions": [%s], "credentials": [{"accessKey": "pikastack-%s", "secretKey": "%s"}]}' \
    "$1" "$(actions "$2" "$3")" "$1" "$(secret "s3-$1-secret-key")"
}
umask 077
cat >/tmp/s3.json <<CONFIG
{"identities": [
  {"name": "administrator", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
   "credentials": [{"accessKey": "pikastack-root", "secretKey": "$(secret s3-root-password)"}]},
  $(identity scraper 'pikachu' 'raw images'),
  $(identity classifier 'raw images' 'labels pikachu models/classifier/* runs/classifier/*'),
  $(identity gan 'raw pikachu images/datasets/*' 'models/gan/* runs/gan/*')
]}
CONFIG
cd /tmp
exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -volume.max=0 \
  -master.volumeSizeLimitMB=1024 -master.telemetry=false -filer -s3 -s3.ip.bind=0.0.0.0 -s3.port=9000 \
  -s3.config=/tmp/s3.json -s3.port.iceberg=0 -s3.port.lance=0
