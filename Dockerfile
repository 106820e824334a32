# Hearth's image: the programs on a base with neither a shell nor a C library. See docs/SETUP.md.
# Each platform is built natively; nothing here names one. Works with BuildKit and with the classic builder.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src

# Static programs, which run in any image. With a target, even if it is this machine's own, the flags are the programs' alone:
# the compiler's plug-ins cannot be linked so. As an argument, since `cargo clean` does not read CARGO_BUILD_TARGET.
ENV RUSTFLAGS="-C target-feature=+crt-static"

# What of SQLite nothing here uses: a tenth of each of three programs.
ENV LIBSQLITE3_FLAGS="-USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_RTREE"

# The dependencies, with stand-ins for the sources, so that this layer is made again only when they change.
COPY Cargo.toml Cargo.lock ./
COPY supervisor/Cargo.toml supervisor/
COPY migrator/Cargo.toml migrator/
COPY app/Cargo.toml app/
RUN set -eu; \
    for crate in supervisor migrator app; do \
        mkdir $crate/src; \
        touch $crate/src/lib.rs; \
        echo 'fn main() {}' >$crate/src/main.rs; \
    done; \
    mkdir supervisor/src/bin; \
    echo 'fn main() {}' >supervisor/src/bin/supervisor-job.rs; \
    cargo build --profile dist --locked --target host-tuple; \
    cargo clean --profile dist --target host-tuple --quiet -p supervisor -p migrator -p app; \
    rm -r supervisor/src migrator/src app/src

COPY supervisor/build.rs supervisor/can_mount.rs supervisor/nss.c supervisor/
COPY app/build.rs app/nss.c app/
COPY migrator/build.rs migrator/
COPY supervisor/src supervisor/src
COPY migrator/src migrator/src
COPY app/src app/src
RUN cargo build --profile dist --locked --target host-tuple
# While there are symbols to look at.
COPY .ci/check-symbols .ci/
RUN .ci/check-symbols target/*/dist/supervisor

# The mount points: an empty volume takes their mode over, and any uid may be the one that uses it. No sticky bit,
# with which the kernel would follow the link `live` for nobody but its owner (fs.protected_symlinks), not even for root.
RUN set -eu; \
    mkdir -p /image/app/data /image/app/backups; \
    for program in supervisor supervisor-job migrator app; do \
        strip -o /image/app/$program target/*/dist/$program; \
    done; \
    chmod 0755 /image/app; \
    chmod 0777 /image/app/data /image/app/backups

# Certificates and time zones.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=
ARG REVISION=
ARG SOURCE=
# Where this image is published, such as ghcr.io/owner/name: for the notice of newer versions.
ARG IMAGE=
LABEL org.opencontainers.image.title="Hearth" \
    org.opencontainers.image.description="A household's binder on its own server" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"

COPY --from=build /image/ /
ENV PATH=/app:$PATH \
    container=oci \
    HEARTH_DATA_DIR=/app/data \
    HEARTH_LISTEN=0.0.0.0:3000 \
    HEARTH_UPDATE__IMAGE="${IMAGE}"

WORKDIR /app
USER 1001:1001
VOLUME /app/data
EXPOSE 3000
STOPSIGNAL SIGTERM
# Green while the supervisor does its work, also through an hour of migration; red when it is held or gone.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/app/supervisor", "healthcheck"]
ENTRYPOINT ["/app/supervisor"]
