# The broadcaster's image; the context is the folder above this one:
#   docker build -f compose/broadcaster.Dockerfile .
FROM debian:bookworm-slim AS build
COPY compose/install /src/compose/install
RUN /src/compose/install build
COPY meson.build /src/
COPY common /src/common
COPY proto /src/proto
COPY gateway /src/gateway
COPY broadcaster /src/broadcaster
COPY tests /src/tests
COPY compose /src/compose
COPY LICENSE /src/
COPY README.md /src/
RUN meson setup /build /src && ninja -C /build broadcaster/warren-broadcaster \
    && strip /build/broadcaster/warren-broadcaster

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libev4 libhttp-parser2.9 libinih1 librabbitmq4 libxxhash0 \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/broadcaster/warren-broadcaster /usr/local/bin/
USER 10001:10001
EXPOSE 9181
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/9181; printf 'GET /live HTTP/1.1\\r\\nHost: me\\r\\n\\r\\n' >&3; grep -q ' 200 ' <&3"]
ENTRYPOINT ["warren-broadcaster"]
