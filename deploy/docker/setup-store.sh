#!/bin/sh
# Buckets, a user for each service that may do what it does and nothing else, and lifecycle rules, on MinIO or its
# fork. Runs at every start, and changes nothing the second time. Uses the shell and MinIO's client only: the image
# has little else.
set -eu

client=$(command -v mcli || command -v mc) || {
  echo "setup-store: expected MinIO's client (mcli or mc) in the image, found neither" >&2
  exit 1
}
prefix=${PIKA_BUCKET_PREFIX:-pika-}
secret() { read -r value <"/run/secrets/$1" || [ -n "$value" ] && printf %s "$value"; }

# The client reads its servers from a file: no secret stands on a command line or in the environment.
alias_of() { # NAME USER SECRET
  printf '"%s": {"url": "http://minio:9000", "accessKey": "%s", "secretKey": "%s", "api": "S3v4", "path": "auto"}' \
    "$1" "$2" "$(secret "$3")"
}
umask 077
mkdir -p /tmp/client
export MC_CONFIG_DIR=/tmp/client
printf '{"version": "10", "aliases": {%s, %s, %s, %s}}' \
  "$(alias_of store pikastack-root s3-root-password)" \
  "$(alias_of scraper pikastack-scraper s3-scraper-secret-key)" \
  "$(alias_of classifier pikastack-classifier s3-classifier-secret-key)" \
  "$(alias_of gan pikastack-gan s3-gan-secret-key)" >/tmp/client/config.json

for bucket in raw images labels pikachu models runs; do
  "$client" --quiet mb --ignore-existing "store/$prefix$bucket"
done

# What people and trainings made can be got back for a month after it was overwritten or deleted.
for bucket in labels models; do
  "$client" --quiet version enable "store/$prefix$bucket"
  "$client" --quiet ilm rule import "store/$prefix$bucket" <<RULES
{"Rules": [{"ID": "old-versions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]}
RULES
done

statement() { # ACTIONS RESOURCES…, below the prefix
  actions=$1 resources=""
  shift
  for resource in "$@"; do resources="$resources${resources:+, }\"arn:aws:s3:::$prefix$resource\""; done
  printf '{"Effect": "Allow", "Action": [%s], "Resource": [%s]}' "$actions" "$resources"
}
see='"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"'
take='"s3:GetObject"'
change='"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"'

# All three may see which keys there are, which is how readiness is asked; `take` and `change` are the rights.
rights() { # SERVICE READABLE CHANGEABLE, patterns between blanks
  set -f # the patterns below are the store's, not the shell's
  printf '{"Version": "2012-10-17", "Statement": [%s, %s, %s]}' \
    "$(statement "$see" '*')" "$(statement "$take" $2)" "$(statement "$change" $3)" >"/tmp/client/$1.json"
  "$client" --quiet admin policy create store "pikastack-$1" "/tmp/client/$1.json"
  # Name and secret are asked for where they are not given, one in a line.
  printf 'pikastack-%s\n%s\n' "$1" "$(secret "s3-$1-secret-key")" | "$client" --quiet admin user add store >/tmp/client/said
  # Fails where it is attached already; whether the user has its rights is seen by using them.
  "$client" --quiet admin policy attach store "pikastack-$1" --user "pikastack-$1" >/tmp/client/said 2>&1 || true
  "$client" --quiet stat "$1/${prefix}raw" >/tmp/client/said || {
    echo "setup-store: the user pikastack-$1 cannot see the buckets: $(cat /tmp/client/said)" >&2
    exit 1
  }
}
rights scraper 'pikachu/*' 'raw/* images/*'
rights classifier 'raw/* images/*' 'labels/* pikachu/* models/classifier/* runs/classifier/*'
rights gan 'raw/* pikachu/* images/datasets/*' 'models/gan/* runs/gan/*'
echo "setup-store: buckets $prefix*, a user for each service, and rules are as they should be"
