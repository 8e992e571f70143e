FROM node:24-alpine As deps
WORKDIR /app
COPY ["package.json", "package-lock.json*", "./"]
RUN npm ci

from deps as build
copy . .
run npm run build
onbuild copy --chown=node:node . /app
onbuild run <<EOF
npm ci
EOF

FROM node:24-alpine
ENV NODE_ENV=production \
    # the port of the server
    PORT=3000 \
    MESSAGE="hello \
world"
LABEL org.opencontainers.image.title="web app" \
      org.opencontainers.image.source='https://example.org/$x'
COPY --from=0 --exclude=*.md --exclude=test /app/node_modules ./node_modules
COPY --from=build --parents /app/./dist/**/*.js ./
COPY <<-"CONF" <<MOTD /etc/app/
	verbatim = $HOME
	CONF
port is $PORT
MOTD
VOLUME /data /cache
VOLUME ["/a b"]
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
STOPSIGNAL SIGRTMIN+3
HEALTHCHECK NONE
USER node
CMD node server.js
