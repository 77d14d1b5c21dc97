# syntax=docker/dockerfile:1
# The catalog in a container: `docker build -t model-catalog .`, then
#   docker run -p 8484:8484 -v model-catalog:/data -e OPENAI_API_KEY model-catalog
# It runs as nobody in particular, writes to /data only, and may have a read-only root file system
# (`--read-only --tmpfs /tmp`).
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --locked --profile dist

FROM debian:bookworm-slim
# Providers are asked over TLS, and the system's certificates are the ones that count.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 65532 -g 65532 -m 0700 /data
COPY --from=build /build/target/dist/model-catalog /usr/bin/model-catalog
ENV DATABASE_URL=sqlite:///data/catalog.db \
    MODEL_CATALOG_LISTEN=0.0.0.0:8484 \
    MODEL_CATALOG_DISCOVER=false
USER 65532:65532
VOLUME /data
EXPOSE 8484
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["model-catalog", "health"]
ENTRYPOINT ["model-catalog"]
CMD ["serve"]
