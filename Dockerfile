# Replace the base images with --build-arg, for example to use a mirror.
# BUILD_IMAGE needs cargo and a C compiler; RUNTIME_IMAGE needs glibc, libgcc and CA certificates.
# The glibc of RUNTIME_IMAGE must not be older than that of BUILD_IMAGE.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUNTIME_IMAGE} AS runtime

FROM ${BUILD_IMAGE} AS build
WORKDIR /build

# This layer compiles only the dependencies, with empty crates, so that a change of tokend's sources does not compile them again.
# Nothing of the empty crates may stay: cargo compares file times, and the real sources can be older than this layer.
COPY Cargo.toml Cargo.lock ./
COPY crates/tokend-client/Cargo.toml crates/tokend-client/
COPY crates/tokend-jose/Cargo.toml crates/tokend-jose/
RUN mkdir -p bench benches src crates/tokend-client/benches crates/tokend-client/src crates/tokend-jose/src \
 && touch bench/revocations.rs bench/verifier.rs benches/parts.rs crates/tokend-client/benches/verify.rs \
 && touch src/lib.rs crates/tokend-client/src/lib.rs crates/tokend-jose/src/lib.rs \
 && echo 'fn main() {}' | tee build.rs src/main.rs \
 && cargo build --profile dist --locked --bin tokend \
 && cargo clean --profile dist --locked --package tokend --package tokend-jose \
 && rm -r build.rs src crates/tokend-client/src crates/tokend-jose/src

COPY build.rs ./
COPY proto proto
COPY crates crates
COPY src src
RUN cargo build --profile dist --locked --bin tokend

# The final file system. In a base image the user may write to /tmp and the home folder. Here everything belongs to root and only root
# may write, except for the data folder. A separate COPY gives that folder to its user. Its parents are created here, because COPY would
# give them to the same user.
COPY --from=runtime / /rootfs/
RUN install -D target/dist/tokend /rootfs/usr/local/bin/tokend \
 && mkdir -p /rootfs/var/lib \
 && chown -R root:root /rootfs \
 && find /rootfs ! -type l -perm /022 -exec chmod go-w {} + \
 && install -d -m 0700 /data

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tokend" \
      org.opencontainers.image.description="A standalone token service: issue and verify JWTs over gRPC." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /rootfs /
COPY --from=build --chown=65532:65532 /data /var/lib/tokend

ENV PATH=/usr/local/bin \
    TOKEND_GRPC_ADDR=0.0.0.0:50051 \
    TOKEND_HTTP_ADDR=0.0.0.0:8080 \
    TOKEND_STORE=sqlite:/var/lib/tokend/tokend.db

# A number, so that Kubernetes' runAsNonRoot can check that it is not root.
USER 65532:65532
WORKDIR /var/lib/tokend
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/tokend", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/tokend"]
CMD ["serve"]
