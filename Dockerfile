# syntax=docker/dockerfile:1
# Ringfence with its rule library. Policies are mounted or come from Git, never baked in:
#   docker build --tag ringfence:local .
#   docker run --rm --read-only --tmpfs /tmp --volume ./policies:/policies:ro ringfence:local validate
# docs/how-to/deploy-with-compose.md starts the service.

# To pin it to a digest: --build-arg PYTHON_IMAGE=docker.io/library/python:3.12.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.12.11-slim-bookworm

# The wheel, once: what is released and what runs in the image are the same file.
FROM ${PYTHON_IMAGE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The build puts rules/ and schemas/ into the package: they must be here before it.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY rules ./rules
COPY schemas ./schemas
COPY engine ./engine
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir /wheels .

# The wheel and its dependencies, without pip.
FROM ${PYTHON_IMAGE} AS installed
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock /src/requirements.lock
COPY --from=wheel /wheels /wheels
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/ringfence \
    && pip --python /opt/ringfence/bin/python install --constraint /src/requirements.lock /wheels/*.whl

# Machine code for policies of the shipped structure, for every processor of this architecture, so that a container
# does not compile for a minute when it starts.
FROM installed AS compiled
COPY policies /src/policies
ENV NUMBA_CPU_NAME=generic RINGFENCE_CACHE_PATH=/opt/compiled
RUN /opt/ringfence/bin/ringfence compile /src/policies \
    && rm -f /opt/compiled/*.lock \
    && chmod -R u=rwX,go=rX /opt/compiled

# The same without what no command reads: a fourth of it.
FROM ${PYTHON_IMAGE} AS slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils
COPY docker/ringfence/slim /src/slim
COPY --from=installed /opt/ringfence /opt/ringfence
RUN sh /src/slim /opt/ringfence

FROM ${PYTHON_IMAGE}
ARG VERSION=local
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ringfence" \
      org.opencontainers.image.description="Pre-trade risk limits as code" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# tini reaps what is orphaned and passes signals on; git and ssh-keygen read policies from signed commits.
# Their versions are those of the base image's distribution, which replaces them when a hole is mended.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client tini \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /root/.cache \
    && pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 1000 trader \
    && useradd --uid 1000 --gid trader --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trader \
    && install -d -o trader -g trader -m 0700 /out /var/lib/ringfence /var/cache/ringfence
COPY --from=slim /opt/ringfence /opt/ringfence
COPY --from=compiled /opt/compiled /opt/ringfence/compiled
COPY docker/ringfence/entrypoint docker/ringfence/healthy /usr/local/bin/
COPY docker/ringfence/image.yaml /etc/ringfence/ringfence.yaml
ENV PATH=/opt/ringfence/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp/.cache \
    NUMBA_CPU_NAME=generic \
    RINGFENCE_COMPILED_PATH=/opt/ringfence/compiled \
    RINGFENCE_CONFIG=/etc/ringfence/ringfence.yaml
USER 1000:1000
WORKDIR /tmp
EXPOSE 5000 8000 8001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/healthy"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/entrypoint"]
CMD ["serve"]
