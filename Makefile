# Everything is started, made and ended by the Python package local/; this file only names what there is to do.

PYTHON ?= python3
ARGS ?=
FAULTS ?= 100
SEED ?= 1

# Whatever else the shell exports, for a Python, Java, client or shell of its own, is not for ours.
# (Read by the shell alone: nothing need be on the PATH for it.)
PASSED := $(shell while read -r names; do case "$$names" in ([A-Za-z]*) echo "$$names";; esac; done <local/environment.txt)
ifdef LD_LIBRARY_PATH
PASSED := $(if $(shell env -u LD_LIBRARY_PATH $(PYTHON) -I -c 'print(1)' 2>/dev/null),$(filter-out LD_LIBRARY_PATH,$(PASSED)),$(PASSED))
endif
unexport $(filter-out $(PASSED),$(.VARIABLES))
export LC_ALL := C.UTF-8

LOCAL := $(PYTHON) -m local
TOOL := .venv/bin/python -m
SERVICES := checkout order fulfillment analytics
EMPTY :=
# The services are not installed where the tools are.
WITH_SERVICES := PYTHONPATH=$(subst $(EMPTY) $(EMPTY),:,$(SERVICES))
# Our programs log in, two ports above the one for everybody. Without KAFKA_PORT the settings of a program hold, and
# its .env; MARIADB_PORT is one of them already.
AT_KAFKA := $(if $(KAFKA_PORT),KAFKA_BOOTSTRAP='[::1]:$(shell expr $(KAFKA_PORT) + 2)')
# Passwords are taken as they are typed, in make's own command line too, where it would expand a dollar sign.
PASSWORDS := $(addsuffix _PASSWORD,KAFKA_ADMIN CHECKOUT ORDER FULFILLMENT ANALYTICS AUDITOR USER)
$(foreach name,$(PASSWORDS),$(if $(findstring command,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
# Only the shell itself hands them on: everybody sees the arguments of a command.
login = [ -z "$$$(2)_PASSWORD" ] || export $(1)_PASSWORD="$$$(2)_PASSWORD";
# For Kafka as the auditor, for MariaDB as the user who is named.
as = cd analytics || exit; $(call login,KAFKA,AUDITOR) $(call login,MARIADB,$(1)) $(AT_KAFKA) exec venv/bin/python -m

.DEFAULT_GOAL := help
# What a program prints is shown when it does, also where MAKEFLAGS has -O.
MAKEFLAGS += --no-print-directory --output-sync=none
.PHONY: help run run-cluster up down kpi export truth audit redrive test test-fast compose-test fuzz lint docs bench bench-runtime bench-growth bench-restore bench-scaling chaos requirements clean python tools analytics

help: ## list these targets
	@echo "make TARGET [KAFKA_PORT=9092] [MARIADB_PORT=3306] [ARGS='options for the program']"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(lastword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

run: python ## start everything: Kafka, MariaDB and the four services; Ctrl-C ends it
	@$(LOCAL) run

run-cluster: python ## the same with three brokers, of which any one may be lost, and every service twice
	@$(LOCAL) run-cluster

up: python ## start only Kafka and MariaDB, in the background
	@$(LOCAL) up

down: python ## end what `make up` started
	@$(LOCAL) down

kpi: analytics ## show the KPIs live
	@$(call as,USER) analytics_service.kpi --watch $(ARGS)

export: analytics ## write a table or view as CSV: ARGS='order --output order.csv' (ARGS=--help tells all)
	@$(call as,USER) analytics_service.export --folder .. $(ARGS)

truth: tools ## say what the KPIs must be once everything has settled, from the opened checkouts and the rules alone
	@$(call login,KAFKA,AUDITOR) $(AT_KAFKA) $(WITH_SERVICES) $(TOOL) truth $(ARGS)

audit: analytics ## recompute everything from the topics and say which rule is broken where
	@$(call as,AUDITOR) analytics_service.audit $(ARGS)

redrive: analytics ## try the dead letters again
	@$(call as,ANALYTICS) analytics_service.redrive $(ARGS)

test: python ## run all tests in three processes, each with a Kafka and a MariaDB of its own
	@$(LOCAL) ensure binaries tools
	@$(TOOL) pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: tools ## run the tests that need neither Kafka nor MariaDB
	@$(TOOL) pytest -n 2 --dist worksteal -m 'not (broker or database or packages or compose)' --hypothesis-profile=fast $(ARGS)

compose-test: tools ## bring docker-compose.yml up under another name, use it, break it, and take it down (needs a Docker engine)
	@$(TOOL) pytest -m compose tests/compose $(ARGS)

fuzz: python ## foreign bytes against every reader of them: ARGS='--seconds 20' or ARGS='--inputs 1000000'
	@$(LOCAL) ensure binaries tools
	@$(WITH_SERVICES) $(TOOL) tools.fuzz $(ARGS)

lint: tools ## check style, types, which module may import which, and that `make docs` was run
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@for service in $(SERVICES); do .venv/bin/mypy $$service/main.py || exit; done
	$(WITH_SERVICES) .venv/bin/lint-imports
	@$(WITH_SERVICES) $(TOOL) tools.docs --check

docs: tools ## write the tables of settings and of claims anew, and each .env.example, from the code
	@$(WITH_SERVICES) $(TOOL) tools.docs

bench: python ## measure everything but growth, beside its references (QUICK=1: roughly); the figures go to tools/bench/results.json
	@$(LOCAL) ensure binaries tools
	@$(WITH_SERVICES) $(TOOL) tools.bench $(ARGS)

bench-runtime: ARGS = runtime
bench-runtime: bench ## only transitions per second through one service, beside a bare loop

bench-growth: python ## store 20 million messages, and measure what they do to storing and to the KPIs (15 minutes, 20 GB)
	@$(LOCAL) ensure binaries tools
	@$(WITH_SERVICES) $(TOOL) tools.bench.growth

bench-restore: python ## read six million checkouts with all committed offsets gone: memory and time (30 minutes, 9 GB)
	@$(LOCAL) ensure binaries tools
	@$(WITH_SERVICES) $(TOOL) tools.bench.restore

bench-scaling: python ## what each service does with 1, 2 and 4 instances, and with more partitions (QUICK=1: roughly)
	@$(LOCAL) ensure binaries tools
	@$(WITH_SERVICES) $(TOOL) tools.bench.scaling

chaos: python ## faults drawn from a seed against everything under load, then the verdict: FAULTS=100 SEED=1 (ARGS=--help tells all)
	@$(LOCAL) ensure binaries tools
	@$(TOOL) chaos --faults $(FAULTS) --seed $(SEED) $(ARGS)

requirements: python ## write all requirements.txt anew from the pyproject.toml files (ARGS=--upgrade for newer pins)
	@$(LOCAL) requirements $(ARGS)

clean: python ## forget all data, programs and environments
	@$(LOCAL) clean

python:
	@command -v $(PYTHON) >/dev/null || { echo "This needs Python 3.11 or newer and there is no $(PYTHON): install it (apt install python3 python3-venv)." >&2; exit 2; }

tools: python
	@$(LOCAL) ensure tools

analytics: python
	@$(LOCAL) ensure analytics
