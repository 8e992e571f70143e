# syntax=docker/dockerfile:1

ARG GO_VERSION=1.25
ARG ALPINE_VERSION=3.22
ARG BASE=alpine:${ALPINE_VERSION}

FROM --platform=$BUILDPLATFORM tonistiigi/xx:1.6.1 AS xx

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS base
COPY --from=xx / /
RUN apk add --no-cache git
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -mod=readonly"

FROM base AS deps
RUN --mount=type=bind,source=go.mod,target=go.mod \
    --mount=type=bind,source=go.sum,target=go.sum \
    --mount=type=cache,target=/go/pkg/mod,sharing=locked \
    go mod download -x

FROM deps AS build
ARG TARGETPLATFORM
ARG VERSION="v0.0.0+unknown" REVISION
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/root/.cache,id=go-build-$TARGETPLATFORM \
    --mount=type=cache,target=/go/pkg/mod \
    --mount=type=secret,id=token,env=TOKEN,required \
    --network=none <<EOT
  set -ex
  xx-go build -ldflags "-s -w -X main.version=${VERSION} -X main.revision=${REVISION}" -o /out/app ./cmd/app
  xx-verify --static /out/app
EOT

FROM build AS test
RUN --mount=type=bind,target=. go test ./...

FROM scratch AS binaries
COPY --link --from=build /out/ /

FROM ${BASE} AS image
RUN --mount=from=busybox:1.37,source=/bin/busybox,target=/busybox /busybox true
COPY --from=binaries --chown=65534:65534 --chmod=0755 /app /usr/bin/app
COPY --from=docker.io/library/alpine:3 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65534
EXPOSE 8080/tcp 9000-9002/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m30s --retries=3 CMD ["/usr/bin/app", "health"]
ENTRYPOINT ["/usr/bin/app"]
CMD ["serve"]
