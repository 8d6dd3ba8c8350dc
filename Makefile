# personaprobe. `make` lists the targets.

# llama.cpp comes as source inside a Go module; cgo has to be told where its
# headers are, and which CPU to compile for. The values are part of Go's build
# cache key: always go through make, or `eval "$(make env)"`.
OLLAMA := $(shell go list -m -f '{{.Dir}}' github.com/ollama/ollama 2>/dev/null)
ifeq ($(OLLAMA),)
OLLAMA := $(shell go mod download github.com/ollama/ollama >&2 && go list -m -f '{{.Dir}}' github.com/ollama/ollama)
endif
LLAMA  := $(OLLAMA)/llama/llama.cpp
GGML   := $(OLLAMA)/ml/backend/ggml/ggml

export CGO_ENABLED  := 1
export CGO_CPPFLAGS := -I$(LLAMA)/include -I$(LLAMA)/src -I$(GGML)/include
export CGO_CFLAGS   := -O3 -march=x86-64-v3
export CGO_CXXFLAGS := -O3 -march=x86-64-v3

# The GPU to build for: its compute capability without the dot. An H200 is 90.
ARCH ?= $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d . | grep . || echo 90)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
OUT     ?= runs/tiny

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t16

.PHONY: run
run: build ## build, then run the default plan on the embedded model into OUT (runs/tiny)
	bin/personaprobe run --out $(OUT)

.PHONY: test
test: toolchain ## run every test, and say what was skipped
	scripts/test.sh

.PHONY: build
build: toolchain ## build bin/personaprobe
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/personaprobe ./cmd/personaprobe

.PHONY: man
man: build ## write the manual page, bin/personaprobe.1
	bin/personaprobe man > bin/personaprobe.1

.PHONY: cuda
cuda: ## build the CUDA plugins for ARCH (default: the GPU found, else 90) into build/cuda
	cmake -S cgo/cuda -B build/cuda -G Ninja -DARCH=$(ARCH) -DGGML_DIR=$(GGML)
	cmake --build build/cuda

.PHONY: release
release: toolchain ## build bin/personaprobe with the CUDA plugins inside, from build/cuda or by make cuda
	[ -e build/cuda/libggml-cuda.so ] && [ -e build/cuda/libpersonaprobe-cuda.so ] || $(MAKE) cuda
	go run ./cgo/plugins/pack build/cuda cgo/plugins/files
	go build -trimpath -tags plugins -ldflags '-s -w $(LDFLAGS)' -o bin/personaprobe ./cmd/personaprobe

.PHONY: test-gpu
test-gpu: ## build the plugins and run the tests on the GPU; scripts/test-gpu.sh says how without Go
	scripts/test-gpu.sh

.PHONY: kernels
kernels: ## build our own CUDA kernels alone, without ggml's plugin
	cmake -S cgo/cuda -B build/cuda -G Ninja -DARCH=$(ARCH)
	cmake --build build/cuda --target personaprobe-cuda

.PHONY: toolchain
toolchain:
	@scripts/toolchain.sh

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint
	scripts/lint.sh

.PHONY: vulncheck
vulncheck: ## ask Go's vulnerability database about the program and its modules
	scripts/vulncheck.sh

.PHONY: env
env: ## print the environment for calling go by hand: eval "$(make env)"
	@echo "export CGO_ENABLED=1 CGO_CPPFLAGS='$(CGO_CPPFLAGS)' CGO_CFLAGS='$(CGO_CFLAGS)' CGO_CXXFLAGS='$(CGO_CXXFLAGS)'"

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build
