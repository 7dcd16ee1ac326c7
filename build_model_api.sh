#!/bin/sh
# Builds the image of workers and fit workers: ./build_model_api.sh [OPTION OF docker build ...]
# With more families of models: ./build_model_api.sh --build-arg EXTRAS=distributed,arrow,statsforecast
set -eu
cd "$(dirname "$0")"
# BuildKit, for the cache mount; older engines need to be told.
DOCKER_BUILDKIT=1 exec docker build --file deploy/Dockerfile --target model_api \
    --tag "${TALLY_IMAGE:-tally-model-api:0.1.0}" "$@" .
