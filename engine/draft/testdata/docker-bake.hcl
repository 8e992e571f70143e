// Images of the shop.
variable "REGISTRY" {
  default = "registry.example.org/shop"
}

variable "VERSION" {
  default     = "2.4.1"
  description = "Release that is built."
}

variable "TAG" {
  default = "v${VERSION}"
}

variable "PORT" {
  default = 8080
}

variable "RELEASE" {
  default = false
}

variable "EXTRA_PLATFORMS" {
  default = ["linux/arm64"]
}

suffix = "-slim"

function "tag" {
  params = [name]
  result = ["${REGISTRY}/${name}:${TAG}", RELEASE ? "${REGISTRY}/${name}:latest" : ""]
}

function "major" {
  params = [text]
  result = split(".", text)[0]
}

group "default" {
  targets = ["web", "worker", "python"]
}

group "all" {
  targets = ["default", "tools", "edge"]
}

target "_common" {
  platforms = concat(["linux/amd64", "linux/arm64"], [])
  labels = {
    "org.opencontainers.image.vendor"  = "Shop"
    "org.opencontainers.image.version" = VERSION
    "template"                         = "{{ kept }}"
  }
  args = {
    BASE_SUFFIX = suffix
    PORT        = "${PORT}"
  }
  cache-from = ["type=gha"]
}

target "base" {
  inherits   = ["_common"]
  context    = "base"
  tags       = tag("base")
}

target "web" {
  inherits = ["_common"]
  context  = "."
  dockerfile = "web/Dockerfile"
  contexts = {
    base    = "target:base"
    assets  = "./assets"
    "nginx:1.27" = "docker-image://docker.io/library/nginx:1.27.3"
    remote  = "https://github.com/example/assets.git"
  }
  args = {
    PORT = "9090"
    MAJOR = major(VERSION)
    GREETING = <<-EOT
      Hello,
        "you" \ and ${upper("me")}
    EOT
  }
  tags   = tag("web")
  secret = ["id=npm,env=NPM_TOKEN", "type=file,id=netrc,src=secrets/netrc"]
  ssh    = ["default"]
  output = ["type=registry"]
  no-cache = true
}

target "worker" {
  inherits = ["_common", "web"]
  target   = "worker"
  tags     = ["${REGISTRY}/worker:${TAG}", "ghcr.io/shop/worker:${TAG}", "ghcr.io/shop/worker:edge"]
  contexts = {}
}

target "python" {
  name       = "python-${replace(version, ".", "-")}-${flavour}"
  matrix = {
    version = ["3.11", "3.12"]
    flavour = ["alpine", "bookworm"]
  }
  inherits = ["_common"]
  context  = "python"
  args = {
    PYTHON_VERSION = version
    FLAVOUR        = flavour
  }
  tags = ["${REGISTRY}/python:${version}-${flavour}"]
}

target "tools" {
  name = item.name
  matrix = {
    item = [
      { name = "lint", stage = "lint" },
      { name = "fmt", stage = "format" },
    ]
  }
  context = "tools"
  target  = item.stage
  args    = { for k, v in { B = "2", A = "1" } : lower(k) => v if v != "3" }
}

target "edge" {
  inherits  = ["web"]
  platforms = concat(["linux/amd64"], EXTRA_PLATFORMS)
  tags      = []
  dockerfile-inline = <<EOT
FROM base
RUN echo "%{ if RELEASE }release%{ else }edge%{ endif }"
EOT
}
