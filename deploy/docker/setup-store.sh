#!/bin/sh
# Buckets, a user that may do what the services do and nothing else, and lifecycle rules, on MinIO or its fork.
# Runs at every start, and changes nothing the second time.
set -eu

client=$(command -v mcli || command -v mc) || {
  echo "setup-store: expected MinIO's client (mcli or mc) in the image, found neither" >&2
  exit 1
}
secret() { cat "/run/secrets/$1"; }
prefix=${PIKA_BUCKET_PREFIX:-pika-}

# The client reads its server from the environment: no password stands on a command line.
MC_HOST_store="http://$(secret s3-root-user):$(secret s3-root-password)@minio:9000"
MC_CONFIG_DIR=/tmp/client
export MC_HOST_store MC_CONFIG_DIR

for bucket in raw images labels pikachu models runs; do
  "$client" mb --ignore-existing "store/$prefix$bucket"
done

# What people and trainings made can be got back for a month after it was overwritten or deleted.
for bucket in labels models; do
  "$client" version enable "store/$prefix$bucket"
  "$client" ilm rule import "store/$prefix$bucket" <<RULES
{"Rules": [{"ID": "old-versions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]}
RULES
done

cat >/tmp/policy.json <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
      "Resource": ["arn:aws:s3:::$prefix*"]
    },
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
      "Resource": ["arn:aws:s3:::$prefix*/*"]
    }
  ]
}
POLICY
"$client" admin policy create store pikastack /tmp/policy.json
# Both lines are asked for where they are not given.
printf '%s\n%s\n' "$(secret s3-access-key)" "$(secret s3-secret-key)" | "$client" admin user add store
if ! "$client" admin user info store "$(secret s3-access-key)" --json | grep -q '"pikastack"\|"policyName":"[^"]*pikastack'; then
  "$client" admin policy attach store pikastack --user "$(secret s3-access-key)"
fi
echo "setup-store: buckets $prefix*, user and rules are as they should be"
