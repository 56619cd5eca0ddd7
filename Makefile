# Every target installs what it needs first and says what it installs (scripts/setup).
.DEFAULT_GOAL := help
.PHONY: help demo test bench fuzz lint web image cluster cluster-down

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: ## an ingest, two edges and two test encoders on this machine; prints what to open
	@scripts/setup demo
	@scripts/demo

test: ## everything: format, lints, dependencies, unit tests, end-to-end tests with real players and encoders
	@scripts/setup test
	@scripts/test

lint: ## the part of `make test` that runs nothing: format, clippy, dependency rules
	@scripts/setup lint
	@scripts/test lint

bench: ## measures against nginx and nginx-rtmp on this machine
	@scripts/setup bench
	@scripts/bench

fuzz: ## every fuzz target for a bounded time (FUZZ_SECONDS each, 60 unless told otherwise); goes on where it last stopped
	@scripts/setup fuzz
	@scripts/fuzz

web: ## builds the pages that edges serve (web/dist) from their sources, and runs their unit tests
	@scripts/setup web
	@scripts/web build

image: ## Lectern's image, with Docker or Podman; without either as a tar
	@scripts/setup image
	@scripts/image

cluster: ## a Kubernetes cluster on this machine with Lectern installed; prints how to reach it (needs root)
	@scripts/setup cluster
	@scripts/cluster up

cluster-down: ## removes that cluster
	@scripts/cluster down
