#!/bin/sh
# Valkey with a user for each service: a client of queues, that can neither see nor change the server itself.
set -eu
umask 077
rights='&* ~rq:* ~pika:* -@all +@read +@write +@connection +@transaction +@scripting +@pubsub -@dangerous +info +time +client|list'
{
  echo "user default off"
  # For the health check.
  echo "user health on nopass resetkeys resetchannels -@all +ping"
  for name in scraper classifier gan; do
    echo "user $name on >$(cat "/run/secrets/valkey-$name-password") $rights"
  done
} >/tmp/users.acl
exec valkey-server /etc/valkey.conf
