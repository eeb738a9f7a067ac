#!/bin/sh
# In a container of the project's image: one function of the template under AWS's emulator. What it needs is beside this file.
set -eu
here=$(dirname "$0")
set -a
. "$here/$1.env"
set +a
exec "$here/aws-lambda-rie" --runtime-interface-emulator-address "$EMULATOR" --runtime-api-address "$RUNTIME_API" /entrypoint.sh "$HANDLER"
