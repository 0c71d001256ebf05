# The gan. Its first layers are the same as in the other services' Dockerfiles, and are made and stored once.
#
#     docker build -f deploy/docker/gan.Dockerfile --target serve .

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
COPY services/gan services/gan

# The front end: ONNX Runtime, no TensorFlow.
FROM base AS serve
# Freed pictures go back to the system. Not for the trainers: it makes each of their steps twice as long.
ENV MALLOC_MMAP_THRESHOLD_=1048576
RUN --mount=type=bind,from=source,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-gan --inexact --no-editable
LABEL org.opencontainers.image.title="pikastack gan" \
      org.opencontainers.image.description="Draws new pictures"
USER 10001
WORKDIR /scratch
EXPOSE 8000
CMD ["gunicorn", "-c", "python:pika_kit.gunicorn_config", "pika_gan.app:create_app()"]

# The worker: it trains, with TensorFlow for the CPU. The first RUN is the same for all trainers, a layer they share.
FROM base AS train
RUN --mount=type=bind,from=manifests,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-gan --extra train --inexact --no-install-workspace
RUN --mount=type=bind,from=source,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-gan --extra train --inexact --no-editable
LABEL org.opencontainers.image.title="pikastack gan worker" \
      org.opencontainers.image.description="Trains the GAN on a CPU"
ENV KERAS_HOME=/tmp/keras TF_CPP_MIN_LOG_LEVEL=1
USER 10001
WORKDIR /scratch
CMD ["python", "-m", "pika_kit.worker", "gan"]

# The same on an NVIDIA GPU. CUDA comes as wheels with TensorFlow: the host needs its driver and the container toolkit.
FROM base AS train-gpu
RUN --mount=type=bind,from=manifests,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-gan --extra train-gpu --inexact --no-install-workspace
RUN --mount=type=bind,from=source,source=/src,target=/src,rw --mount=type=cache,target=/var/cache/uv \
    python3 run uv sync --package pika-gan --extra train-gpu --inexact --no-editable
LABEL org.opencontainers.image.title="pikastack gan worker for NVIDIA GPUs" \
      org.opencontainers.image.description="Trains the GAN on a GPU"
ENV KERAS_HOME=/tmp/keras TF_CPP_MIN_LOG_LEVEL=1 TF_FORCE_GPU_ALLOW_GROWTH=true
USER 10001
WORKDIR /scratch
CMD ["python", "-m", "pika_gan.gpu_worker"]
