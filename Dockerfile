# One image for both transports: HTTP for many callers by default, stdio with `docker run -i --rm -e DEVIN_API_KEY IMAGE stdio`
# (and `-e DEVIN_ORG_ID` if a cog_ key has several organizations).
# What is installed is in requirements.lock, by hash; nothing is built, so the same sources give the same files.
# To pin the base as well: --build-arg BASE=python:3.13-slim@sha256:... (docs/operating.md, Containers).
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock /src/requirements.lock
RUN python -m pip install --target /opt/libraries --no-compile --require-hashes --no-deps --only-binary :all: -r /src/requirements.lock
COPY devin_mcp /opt/app/devin_mcp
# Compiled here, since a read-only file system keeps nothing; by content, so that no time of building is in it.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt

FROM ${BASE}
LABEL org.opencontainers.image.title="devin-mcp" \
      org.opencontainers.image.description="Model Context Protocol server for Devin" \
      org.opencontainers.image.licenses="MIT" \
      io.modelcontextprotocol.server.name="io.github.devin-mcp/devin-mcp"
COPY --from=build /opt /opt
ENV PYTHONPATH=/opt/app:/opt/libraries PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "devin_mcp.cli.container_health"]
ENTRYPOINT ["python", "-m", "devin_mcp"]
CMD ["http", "--host", "0.0.0.0", "--auth", "caller-key"]
