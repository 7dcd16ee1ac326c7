#!/bin/sh
# Builds the broker's image: ./build_broker.sh [OPTION OF docker build ...]
set -eu
cd "$(dirname "$0")"
# BuildKit, for the cache mount; older engines need to be told.
DOCKER_BUILDKIT=1 exec docker build --file deploy/Dockerfile --target broker \
    --tag "${TALLY_IMAGE:-tally-broker:0.1.0}" "$@" .
