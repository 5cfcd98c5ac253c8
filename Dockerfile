# Two small images from one build: freefans-coordinator and freefans-worker.
FROM rust:1.95-bookworm AS build
# dev: quicker to build, slower to run.
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --profile "$PROFILE" --locked -p coordinator -p host && \
    folder=$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE") && \
    cp "target/$folder/coordinator" "target/$folder/worker" /usr/local/bin/

FROM debian:bookworm-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/* && useradd --system --uid 10001 freefans
USER freefans

FROM base AS coordinator
COPY --from=build /usr/local/bin/coordinator /usr/local/bin/coordinator
ENTRYPOINT ["coordinator"]

FROM base AS worker
USER root
# A volume that is mounted here takes this owner and these rights.
RUN install --directory --mode 0700 --owner freefans /var/cache/freefans
USER freefans
ENV PLUGIN_CACHE=/var/cache/freefans
COPY --from=build /usr/local/bin/worker /usr/local/bin/worker
ENTRYPOINT ["worker", "--plugins", "/plugins"]
