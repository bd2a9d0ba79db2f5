# syntax=docker/dockerfile:1
# One image for every role: `analysis`, `cache`, `config`, `gateway`, `analyze -`, or all of them:
# docker run -p 127.0.0.1:8080:8080 -e DATAFLOW_LISTEN=[::]:8080 -e DATAFLOW_ALLOW_ANONYMOUS=true IMAGE up

FROM rust:1.95.0-trixie AS build
WORKDIR /src
COPY . .
# The caches are outside the layers, so that a change recompiles only what depends on it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p dataflow && \
    cp target/release/dataflow /dataflow

# The binary needs libc, libm and libgcc_s, and CA certificates if Redis uses TLS. The image has no shell.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /dataflow /dataflow
USER 65532:65532
# The admin port is reachable from outside the container; in Kubernetes the manifests set the same per service.
ENV DATAFLOW_ADMIN=[::]:9090
EXPOSE 8080 8081 8082 8083 9090
# For container runtimes without probes; Kubernetes ignores it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["/dataflow", "healthcheck"]
ENTRYPOINT ["/dataflow"]
CMD ["--help"]
