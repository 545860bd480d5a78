# syntax=docker/dockerfile:1
# Ringfence with its rule library; policies are mounted, never baked in:
#   docker build -t ringfence .
#   docker run --rm --read-only --tmpfs /tmp -v ./policies:/policies:ro ringfence validate /policies

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/ringfence
# The build puts rules/ and schemas/ into the package: they must be here before it.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY rules ./rules
COPY schemas ./schemas
COPY engine ./engine
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/ringfence/bin/pip install --constraint requirements.lock .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="ringfence" \
      org.opencontainers.image.description="Pre-trade risk limits as code" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 ringfence \
    && useradd --uid 10001 --gid ringfence --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ringfence \
    && install -d -o ringfence -g ringfence /out
COPY --from=build /opt/ringfence /opt/ringfence
COPY docker/entrypoint /usr/local/bin/entrypoint
ENV PATH=/opt/ringfence/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp/.cache \
    RINGFENCE_POLICIES=/policies
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=60s --timeout=10s --start-period=5s --retries=2 \
    CMD ["/usr/local/bin/entrypoint", "validate"]
ENTRYPOINT ["/usr/local/bin/entrypoint"]
CMD ["validate"]
