# The scraper. Its first stages are the same as in the other services' Dockerfiles, and are made and stored once.
#
#     docker build -f deploy/docker/scraper.Dockerfile --target serve .

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What uv.lock says, as one list for each kind of image: a layer of dependencies lives as long as its list stays the
# same, whatever else changes beside it. `run` fetches the uv that uv.lock names, and checks it against the hash there.
FROM ${PYTHON_IMAGE} AS lists
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY run pyproject.toml uv.lock ./
COPY shared/pyproject.toml shared/
COPY services/scraper/pyproject.toml services/scraper/
COPY services/classifier/pyproject.toml services/classifier/
COPY services/gan/pyproject.toml services/gan/
COPY deploy/local/pyproject.toml deploy/local/
COPY deploy/drawings/pyproject.toml deploy/drawings/
RUN mkdir /lists && \
    list() { python3 run uv export -q --frozen --no-dev --no-emit-workspace --no-header --no-annotate \
        --package "${@:2}" >"/lists/$1"; } && \
    list kit pika-kit && list scraper pika-scraper && list serve pika-gan && \
    list train pika-gan --extra train && list gpu pika-gan --extra train-gpu && \
    mv .tools/uv-*/uv /lists/uv

# Wheels only, so no image ever holds a compiler; uv and its cache are mounted, not copied.
FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/pikastack/bin:$PATH \
    VIRTUAL_ENV=/opt/pikastack \
    UV_CACHE_DIR=/var/cache/uv \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_NO_BUILD=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PIKA_BIND=0.0.0.0:8000 \
    PIKA_STATE_DIR=/scratch
RUN useradd --system --uid 10001 --home-dir /tmp --no-create-home pika && install --directory --owner=pika /scratch
COPY shared/src/pika_kit/healthcheck.py /opt/healthcheck.py
RUN --mount=type=bind,from=lists,source=/lists/uv,target=/uv --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,from=lists,source=/lists/kit,target=/list \
    /uv venv -q /opt/pikastack && /uv pip install -q --no-deps --require-hashes -r /list

# The code: the last and smallest layer of each image.
FROM lists AS wheels
COPY shared shared
COPY services/scraper services/scraper
RUN --mount=type=cache,target=/var/cache/uv export UV_CACHE_DIR=/var/cache/uv && \
    for package in shared services/scraper; do /lists/uv build -q --wheel --out-dir /wheels "$package"; done

# The front end and the worker: neither needs more than the other.
FROM base AS serve
# Freed pictures go back to the system. Not for the trainers: it makes each of their steps twice as long.
ENV MALLOC_MMAP_THRESHOLD_=1048576
RUN --mount=type=bind,from=lists,source=/lists/uv,target=/uv --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,from=lists,source=/lists/scraper,target=/list \
    /uv pip install -q --no-deps --require-hashes -r /list
RUN --mount=type=bind,from=lists,source=/lists/uv,target=/uv --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    /uv pip install -q --no-deps --no-cache /wheels/*.whl
LABEL org.opencontainers.image.title="pikastack scraper" \
      org.opencontainers.image.description="Collects pictures and makes them squares"
ARG PIKA_VERSION=latest
LABEL org.opencontainers.image.version=${PIKA_VERSION}
USER 10001
WORKDIR /scratch
EXPOSE 8000
CMD ["gunicorn", "-c", "python:pika_kit.gunicorn_config", "pika_scraper.app:create_app()"]
