# syntax=docker/dockerfile:1
# One image for every role: `analysis`, `cache`, `config`, `gateway`, `analyze -`, or all of them:
# docker run -p 127.0.0.1:8080:8080 -e DATAFLOW_LISTEN=[::]:8080 -e DATAFLOW_ALLOW_ANONYMOUS=true IMAGE up

FROM rust:1.95.0-trixie AS build
WORKDIR /src
COPY . .
# The caches live outside the layers, so that a changed line compiles what depends on it and nothing else.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p dataflow && \
    cp target/release/dataflow /dataflow

# The binary needs libc, libm and libgcc_s, and certificates where Redis speaks TLS; there is no shell to break into.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /dataflow /dataflow
USER 65532:65532
# Whoever runs the container alone reaches it; in Kubernetes the manifests say the same per service.
ENV DATAFLOW_ADMIN=[::]:9090
EXPOSE 8080 8081 8082 8083 9090
# For runtimes without probes of their own; Kubernetes ignores it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["/dataflow", "healthcheck"]
ENTRYPOINT ["/dataflow"]
CMD ["--help"]
