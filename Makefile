# make          what there is
GO      ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
TARGETS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
export CGO_ENABLED ?= 0

.PHONY: help build run check test style cross race kernels clients engines soak bench clean

help:
	@echo 'make build    the binary ./parley'
	@echo 'make run      build and serve the built-in model'
	@echo 'make check    the quick loop: style and tests of every package'
	@echo 'make test     the gate: check, race, all platforms, all kernels, real clients and engines'
	@echo 'make kernels  every set of kernels that this processor, or an emulated one, can run'
	@echo 'make engines  build the engines of others that are not there yet, and test against them'
	@echo 'make soak     what takes longer: long fuzzing'

build:
	$(GO) build -trimpath -ldflags='-s -w' -o parley ./cmd/parley

run: build
	./parley serve

check: style
	$(GO) test ./...

test: style cross
	$(GO) test -count=1 ./...
	CGO_ENABLED=1 $(GO) test -count=1 -race -short $(RACE)
	$(MAKE) kernels
	$(MAKE) clients
	$(MAKE) engines
	@echo 'all passed'

RACE = ./llm/... ./chat/... ./chatformat/... ./engine/... ./internal/server/... ./internal/session/... ./internal/sqlite/... ./internal/hub/... ./internal/apikey/... ./internal/catalog/... ./internal/process/... ./internal/discover/... ./internal/textmatch/... ./internal/vocab/... ./internal/check/...

style:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted (gofmt -w):"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# Every platform compiles, tests included.
cross:
	@for t in $(TARGETS); do echo "build $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o /dev/null ./cmd/parley && GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet ./... || exit 1; done

# Every set of kernels, those of other processors under emulation; KERNELS names some.
kernels:
	tools/kernels/run.sh

# The clients that people use, against the real binary.
clients: build
	tools/clients/run.sh
	tools/sillytavern/run.sh

# The engines that people run: all that tools/engines/build.sh knows, or those
# that ENGINES names.
engines: build
	tools/engines/run.sh $(ENGINES)

FUZZTIME ?= 5m
soak:
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; \
	done
	CGO_ENABLED=1 $(GO) test -race -count=1 ./...

clean:
	rm -rf parley parley.exe dist .cache
