# A static binary in an image that holds nothing else.
#
#   docker build -t reelmap .
#   docker run --rm --read-only -p 8080:8080 -v "$PWD/fixtures:/media:ro" reelmap

FROM rust:1-slim-bookworm AS build
WORKDIR /src
# Only what the binary is made of: see .dockerignore.
COPY . .
# The C library is linked in. That needs a target by name, or it would be asked of the compiler's
# own plug-ins (procedural macros), which cannot be static.
#
# Dependencies and what was built of them stay in the builder's cache between builds. The sources
# are touched because their times may be older than that cache, and Cargo goes by times.
RUN --mount=type=cache,id=reelmap-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=reelmap-target,target=/src/target \
    find src -type f -exec touch {} + \
 && target=$(rustc -vV | sed -n 's/^host: //p') \
 && RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo build --release --locked --bin reelmap --target "$target" \
 && cp "target/$target/release/reelmap" /reelmap

FROM scratch
LABEL org.opencontainers.image.title="reelmap" \
      org.opencontainers.image.description="A memory-mapped video server" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY LICENSE-MIT LICENSE-APACHE /licenses/
COPY --from=build /reelmap /reelmap
# Nobody: a number, since there is no /etc/passwd. The films must be readable by others.
USER 65532:65532
ENV REELMAP_ROOT=/media REELMAP_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 CMD ["/reelmap", "health"]
ENTRYPOINT ["/reelmap", "serve"]
