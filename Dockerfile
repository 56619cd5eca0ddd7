# Lectern's image: both programs, static, and nothing else. `make image` builds it with Docker or Podman; the tests build
# the same files into a tar without either (tests/kube/src/image.rs; a test compares the two lists).
ARG RUST=1.95

FROM docker.io/library/rust:${RUST}-slim-bookworm AS build
WORKDIR /src
COPY . .
# --target: without it procedural macros would be built statically, too, which the compiler cannot load.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" \
 && RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" \
      --package lectern --package lectern-node --features lectern-node/kubernetes --bins \
 && mkdir /out \
 && cp "target/$target/release/lectern" "target/$target/release/lectern-node" /out/ \
 && strip /out/lectern /out/lectern-node

FROM scratch
LABEL org.opencontainers.image.title="lectern" \
      org.opencontainers.image.description="Live events on Kubernetes" \
      org.opencontainers.image.source="https://github.com/lectern-dev/lectern" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/lectern /usr/local/bin/lectern
COPY --from=build /out/lectern-node /usr/local/bin/lectern-node
COPY LICENSE /usr/share/doc/lectern/LICENSE
COPY web/NOTICE /usr/share/doc/lectern/NOTICE
ENV PATH=/usr/local/bin
# A number, so that runAsNonRoot can be checked. Nothing is ever written: the root may be read-only.
USER 65532:65532
WORKDIR /
CMD ["lectern", "--help"]
