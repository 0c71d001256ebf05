# The scraper. Its first layers are the same as in the other services' Dockerfiles, and are made and stored once.
#
#     docker build -f deploy/docker/scraper.Dockerfile --target serve .

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What is to be installed, without the source: layers of dependencies outlive changes of code.
# `run` fetches the uv that uv.lock names, and checks it against the hash there.
FROM ${PYTHON_IMAGE} AS manifests
WORKDIR /src
COPY run pyproject.toml uv.lock ./
COPY shared/pyproject.toml shared/
COPY services/scraper/pyproject.toml services/scraper/
COPY services/classifier/pyproject.toml services/classifier/
COPY services/gan/pyproject.toml services/gan/
COPY deploy/local/pyproject.toml deploy/local/
RUN python3 run uv --version

# Wheels only, so no image ever holds a compiler; uv and its cache are mounted, not copied.
FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/pikastack/bin:$PATH \
    UV_PROJECT_ENVIRONMENT=/opt/pikastack \
    UV_CACHE_DIR=/var/cache/uv \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_FROZEN=1 \
    UV_NO_DEV=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PIKA_BIND=0.0.0.0:8000 \
    PIKA_STATE_DIR=/scratch
RUN useradd --system --uid 10001 --home-dir /tmp --no-create-home pika && install --directory --owner=pika /scratch
WORKDIR /src
RUN --mount=type=bind,from=manifests,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-kit --no-install-workspace

FROM manifests AS source
COPY shared shared
COPY services/scraper services/scraper

# The front end and the worker: neither needs more than the other.
FROM base AS serve
# Freed pictures go back to the system. Not for the trainers: it makes each of their steps twice as long.
ENV MALLOC_MMAP_THRESHOLD_=1048576
RUN --mount=type=bind,from=source,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-scraper --inexact --no-editable
LABEL org.opencontainers.image.title="pikastack scraper" \
      org.opencontainers.image.description="Collects pictures and makes them squares"
USER 10001
WORKDIR /scratch
EXPOSE 8000
CMD ["gunicorn", "-c", "python:pika_kit.gunicorn_config", "pika_scraper.app:create_app()"]
