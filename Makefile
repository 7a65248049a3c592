# Every task of this repository, for people and CI. Run `make` to list the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Absolute, as some recipes work in another directory.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
PYTHON ?= python3
VENV ?= .venv
# The lab looks for ministack here.
export SYNCWATCH_VENV := $(abspath $(VENV))

# PostgreSQL's ODBC driver encodes text by the locale, and a bare machine has only an ASCII one.
export LANG := $(or $(LANG),C.UTF-8)

# CI requires an up-to-date lock file; elsewhere cargo may update it.
LOCKED := $(if $(CI),--locked)
# Always the whole workspace: dependencies of a single package have other features and would be built twice.
BUILD = cargo build $(LOCKED) --workspace --bin
HOST_ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86-64)
# The functions, and the packages that build them, as infra/functions.json names them.
FUNCTIONS = $(shell $(PYTHON) -c 'import json; print(*json.load(open("infra/functions.json"))["functions"])')
PACKAGES = $(shell $(PYTHON) -c 'import json; print(*sorted({function.get("package", name) for name, function in json.load(open("infra/functions.json"))["functions"].items()}))')
ZIP_LIMIT := 6000000
# The packages that have the feature `odbc`, and their functions.
ODBC_PACKAGES = $(shell cargo metadata --no-deps --format-version 1 | $(PYTHON) -c 'import json, sys; print(*sorted(package["name"] for package in json.load(sys.stdin)["packages"] if "odbc" in package["features"] and "/functions/" in package["manifest_path"]))')
ODBC_FUNCTIONS = $(shell $(PYTHON) -c 'import json, sys; print(*(name for name, function in json.load(open("infra/functions.json"))["functions"].items() if function.get("package", name) in sys.argv[1:]))' $(ODBC_PACKAGES))
# With a driver inside: Lambda's limit for a direct upload.
ODBC_ZIP_LIMIT = $(if $(DRIVER),50000000,$(ZIP_LIMIT))

TERRAFORM ?= terraform
# Output of Terraform plans and tests.
INFRA_OUT := $(CARGO_TARGET_DIR)/infra
# The default of the Terraform variable `zips`. Relative to infra/: the path is part of the state, so an absolute one would
# make every other clone redeploy every function.
export TF_VAR_zips ?= $(shell $(PYTHON) -c 'import os, sys; print(os.path.relpath(sys.argv[1], "infra"))' '$(CARGO_TARGET_DIR)/lambda/arm64')

# The stamp carries the hash of requirements.txt, so a changed file rebuilds the virtual environment. By hash, not by time:
# in CI the file is always newer than the cached environment.
REQUIREMENTS := tests/requirements.txt
VENV_STAMP := $(SYNCWATCH_VENV)/.syncwatch-$(shell sha256sum $(REQUIREMENTS) | cut -c1-16)
# The linter of infra/ needs other versions of the same packages.
LINT_VENV := $(SYNCWATCH_VENV)-infra
LINT_STAMP := $(LINT_VENV)/.syncwatch-$(shell sha256sum infra/requirements.txt | cut -c1-16)
# So do the vendors' clients.
CLIENTS_VENV := $(SYNCWATCH_VENV)-clients
CLIENTS_STAMP := $(CLIENTS_VENV)/.syncwatch-$(shell sha256sum tests/clients/requirements.txt | cut -c1-16)
# And the browser's driver.
PAGE_VENV := $(SYNCWATCH_VENV)-page
PAGE_STAMP := $(PAGE_VENV)/.syncwatch-$(shell sha256sum tests/page/requirements.txt | cut -c1-16)
# cargo-deny and cargo-mutants are built once per version and cached.
DENY_VERSION := 0.20.2
MUTANTS_VERSION := 27.1.0
MUTANTS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/syncwatch-ci/cargo-mutants-$(MUTANTS_VERSION)
DENY := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/syncwatch-ci/cargo-deny-$(DENY_VERSION)

# Spark is 400 MB, and one check uses it.
SPARK_REQUIREMENTS := tests/spark/requirements.txt
SPARK_VENV := $(SYNCWATCH_VENV)-spark
SPARK_STAMP := $(SPARK_VENV)/.syncwatch-$(shell sha256sum $(SPARK_REQUIREMENTS) | cut -c1-16)
HAS_JAVA := $(shell command -v java)

.PHONY: help
help: ## List the targets
	@echo 'make <target>:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: lab-zips ## Run the real functions against a simulated Census and break it; KEEP=1 leaves it running, EXCERPT=1 updates the excerpt in README.md
	@PYTHON='$(PYTHON)' bash .ci/setup demo
	@echo '==> Building the lab'
	@$(BUILD) syncwatch-lab
	@'$(CARGO_TARGET_DIR)/debug/syncwatch-lab' demo $(if $(filter-out 0,$(KEEP)),--keep) $(if $(filter-out 0,$(EXCERPT)),--excerpt)

.PHONY: drill
drill: $(if $(NAME)$(PLAY),$(VENV_STAMP)) ## List the incident drills; NAME=... plays one, PLAY=model|wrong plays its scripted answers
	@$(if $(NAME)$(PLAY),PYTHON='$(PYTHON)' bash .ci/setup demo)
	@$(BUILD) syncwatch-drill --quiet
	@'$(CARGO_TARGET_DIR)/debug/syncwatch-drill' $(NAME) $(if $(PLAY),--play $(PLAY))

.PHONY: test
test: lab-zips ## Run every test, including those on the lab and on real SQL engines
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	@$(MAKE) lab-zips-odbc DRIVER="$$(compgen -G '/usr/lib/*/odbc/libsqlite3odbc.so' | head -1)"
	cargo test $(LOCKED) --workspace

.PHONY: spark-check
spark-check: $(if $(HAS_JAVA),$(SPARK_STAMP)) ## Run every statement of checks, of the audit log and of reconciliation, and every view, on Spark 3.5, as in older Databricks runtimes; needs Java 8, 11 or 17
	@[ -n '$(HAS_JAVA)' ] || { echo 'Missing: Java 17, which Spark needs. On Debian or Ubuntu: sudo apt-get install openjdk-17-jre-headless' >&2; exit 1; }
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	SPARK_PYTHON='$(SPARK_VENV)/bin/python' cargo test $(LOCKED) --workspace --test it spark:: -- --ignored --nocapture

.PHONY: remedy-days
remedy-days: ## Play 90 days of each fault with remedies that act, and with advice only: harm, and the time to recovery side by side
	cargo test $(LOCKED) --workspace --test it remedy_days -- --ignored --nocapture

.PHONY: explore
explore: ## Run the property tests on new random cases; CASES=20000 per test
	PROPTEST_CASES=$(or $(CASES),20000) cargo test $(LOCKED) --workspace --lib --quiet

# The flags of cargo-fuzz, for a stable compiler: coverage for libFuzzer, and no sanitizer, as the code has no `unsafe`.
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing
FUZZ_HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')

.PHONY: fuzz
fuzz: ## Fuzz the error classifier and scrubber with libFuzzer for SECONDS=600
	@$(PYTHON) tests/fuzz/corpus.py '$(CARGO_TARGET_DIR)/fuzz-corpus'
	RUSTFLAGS='$(FUZZ_FLAGS)' cargo run $(LOCKED) --release --manifest-path tests/fuzz/Cargo.toml --target $(FUZZ_HOST) --bin classify -- \
		'$(CARGO_TARGET_DIR)/fuzz-corpus' -max_total_time=$(or $(SECONDS),600) -max_len=6000 -timeout=2 -print_final_stats=1 \
		-artifact_prefix='$(CARGO_TARGET_DIR)/fuzz-corpus-'

.PHONY: clients-check
clients-check: $(CLIENTS_STAMP) ## Test the lab with the vendors' clients: Databricks' SDK, PagerDuty's client, the Airflow provider of Census
	@$(BUILD) syncwatch-lab --quiet
	@'$(CLIENTS_VENV)/bin/python' tests/clients/check.py '$(CARGO_TARGET_DIR)/debug/syncwatch-lab'

.PHONY: page
page: ## Render the status page in each state from the lab's 120 days of history, and print the paths
	@PYTHON='$(PYTHON)' bash .ci/setup demo
	@$(BUILD) syncwatch-lab --quiet
	@'$(CARGO_TARGET_DIR)/debug/syncwatch-lab' pages '$(CARGO_TARGET_DIR)/pages'

.PHONY: page-check
page-check: $(PAGE_STAMP) ## Check the status page and the monthly report in Chromium: layout at three widths, accessibility, valid HTML, a picture of each state, and those of README.md; UPDATE=1 takes new pictures
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	@$(BUILD) syncwatch-lab --quiet
	@UPDATE='$(UPDATE)' '$(PAGE_VENV)/bin/python' tests/page/check.py '$(CARGO_TARGET_DIR)/debug/syncwatch-lab' '$(CARGO_TARGET_DIR)/page-check'

.PHONY: deny
deny: $(DENY)/bin/cargo-deny ## Check licences, bans and sources of Cargo.lock; ADVISORIES=1 adds advisories, which needs the network
	@'$<' --locked check licenses bans sources $(if $(filter-out 0,$(ADVISORIES)),advisories)

.PHONY: pins
pins: ## Rewrite the hashes of all pinned Python packages after a version change
	@for file in $(REQUIREMENTS) infra/requirements.txt tests/clients/requirements.txt tests/page/requirements.txt; do $(PYTHON) .ci/hash-pins.py $$file; done

.PHONY: simulate
simulate: lab-zips ## Run the simulated days with real rounds: 150 quiet syncs in PAIRS=500 pairs of polls, and 90 days of flapping
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	SYNCWATCH_QUIET_PAIRS=$(or $(PAIRS),500) SYNCWATCH_FLAPPING_DAYS=90 \
		cargo test $(LOCKED) --workspace --test it -- quiet_days_of_150_syncs real_rounds_send

.PHONY: mutants
mutants: $(MUTANTS)/bin/cargo-mutants ## Mutate the judging and deciding code, one place at a time, and list mutants that no test catches; takes hours, SHARD=1/8 runs a part
	@PROPTEST_CASES=32 '$<' mutants --no-shuffle --output '$(CARGO_TARGET_DIR)' $(if $(SHARD),--shard $(SHARD))

.PHONY: ci
ci: fmt-check lint deny docs test infra-check clients-check page-check $(if $(HAS_JAVA),spark-check) demo ## Run everything that CI checks, including the demo, and Spark if Java is installed
	@$(MAKE) --no-print-directory expectations SMALL=1

.PHONY: check
check: ## Check the changes since main: format, clippy and unit tests of the changed packages; no lab, no zips
	@$(PYTHON) .ci/check.py

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check: ## Fail if the code is not formatted
	cargo fmt --all --check

.PHONY: lint
lint: ## Run clippy on everything; warnings fail
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings

.PHONY: docs
docs: ## Build the API documentation; warnings fail
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --workspace --no-deps

.PHONY: bench
bench: lab-zips ## Measure cold start, checks, 10,000 syncs and webhooks against Python, checks on 5 million rows, a snapshot of 100,000 runs, 10,000 series of figures, the status page, and the reconciliation of a million records; ONLY=cold|check|scale|intake|warehouse|snapshot|figures|classify|page|reconcile, BESIDE=<zips of another build>
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	@PATH="$(SYNCWATCH_VENV)/bin:$$PATH" cargo lambda build $(LOCKED) --quiet --release --$(HOST_ARCH) \
		-p syncwatch-bench --bin bare --no-default-features --lambda-dir '$(CARGO_TARGET_DIR)/lambda/bench'
	@$(BUILD) syncwatch-bench --quiet
	@'$(CARGO_TARGET_DIR)/debug/syncwatch-bench' $(ONLY) $(if $(BESIDE),--beside '$(BESIDE)')

.PHONY: bench-streams
bench-streams: ## Compare 1,000,000 rows in two databases as streams; RELADIFF=<program> measures it beside, MANY=1 adds 6.5 million rows
	@cargo build $(LOCKED) --quiet --profile measured -p syncwatch-bench --bin syncwatch-bench
	@'$(CARGO_TARGET_DIR)/measured/syncwatch-bench' streams $(if $(RELADIFF),--reladiff '$(RELADIFF)') $(if $(MANY),--many)

.PHONY: expectations
expectations: ## Measure the rules for expected figures on simulated histories, against their goals; SMALL=1, ONLY=quiet|pipelines|faults|nights|change|forecasts|windows|speed, SEED=1
	@$(BUILD) expectations --quiet
	@'$(CARGO_TARGET_DIR)/debug/expectations' --check $(if $(SMALL),--small) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED))

.PHONY: nab
nab: ## Score the novelty rule on the Numenta Anomaly Benchmark; DIR=<clone of the GitHub repository numenta/NAB>
	@[ -n '$(DIR)' ] || { echo 'Missing: DIR, such as: git clone --depth 1 https://github.com/numenta/NAB && make nab DIR=NAB' >&2; exit 1; }
	@$(BUILD) expectations --quiet
	@'$(CARGO_TARGET_DIR)/debug/expectations' nab '$(DIR)' --check

.PHONY: package
package: $(VENV_STAMP) ## Build the zips for AWS (arm64) into <target>/lambda/arm64
	@! command -v rustup >/dev/null || rustup --quiet target add aarch64-unknown-linux-gnu
	@$(call build-zips,arm64)

.PHONY: package-odbc
package-odbc: $(VENV_STAMP) ## Build the zips of the functions that query a warehouse with ODBC into <target>/lambda/odbc/arm64; DRIVER="driver.so and the libraries it needs"
	@! command -v rustup >/dev/null || rustup --quiet target add aarch64-unknown-linux-gnu
	@$(call build-odbc-zips,arm64)

.PHONY: lab-zips
lab-zips: $(VENV_STAMP) ## Build the zips for the lab, for this machine's processor
	@$(call build-zips,$(HOST_ARCH))

.PHONY: lab-zips-odbc
lab-zips-odbc: $(VENV_STAMP) ## Build the zips with ODBC for the lab, for this machine's processor; DRIVER as above
	@$(call build-odbc-zips,$(HOST_ARCH))

.PHONY: alert-test
alert-test: lab-zips ## Send one marked test notice through every channel of the lab and show what arrives; in AWS: syncwatch alert-test
	@$(BUILD) syncwatch-lab --quiet
	@'$(CARGO_TARGET_DIR)/debug/syncwatch-lab' alert-test

.PHONY: cli
cli: ## Build the operator's command, syncwatch, and print its path; RELEASE=1 optimizes
	@$(BUILD) syncwatch --quiet $(if $(filter-out 0,$(RELEASE)),--release)
	@echo '$(CARGO_TARGET_DIR)/$(if $(filter-out 0,$(RELEASE)),release,debug)/syncwatch'

.PHONY: infra-check
infra-check: cli terraform-check ## Check the pipeline file, the table of functions, the repository's rules and Terraform
	@'$(CARGO_TARGET_DIR)/debug/syncwatch' check-config infra/pipeline.toml
	cargo test $(LOCKED) --workspace --lib functions_table
	cargo test $(LOCKED) --workspace --test it tidy

.PHONY: terraform-check
terraform-check: $(LINT_STAMP) $(INFRA_OUT)/zips ## Check infra/ alone: terraform fmt, validate and test, a failing test for each removed guard, and checkov
	@$(need-terraform)
	$(TERRAFORM) fmt -check -diff -recursive infra
	@$(PYTHON) infra/cost.py --check
	@for root in infra infra/databricks; do \
		echo "==> Testing $$root"; \
		$(TERRAFORM) -chdir=$$root init -backend=false -input=false >/dev/null; \
		$(TERRAFORM) -chdir=$$root validate; \
		TF_VAR_zips='$(INFRA_OUT)/zips' $(TERRAFORM) -chdir=$$root test; \
	done
	@echo '==> Removing each alarm, dead-letter queue and permission in turn'
	@$(PYTHON) infra/tests/removals.py --terraform '$(TERRAFORM)' --zips '$(INFRA_OUT)/zips'
	'$(LINT_VENV)/bin/checkov' --directory infra --config-file infra/.checkov.yaml

.PHONY: cost
cost: ## Compute the monthly cost from the published prices in infra/prices.json and write it into infra/README.md
	@$(PYTHON) infra/cost.py

.PHONY: plan
plan: package ## Show what `make deploy` would change in AWS; fails where AWS would fail half-way, PREFLIGHT=0 skips that check
	@$(need-terraform)
	@$(TERRAFORM) -chdir=infra init -input=false >/dev/null
	@mkdir -p '$(INFRA_OUT)'
	@$(TERRAFORM) -chdir=infra plan -out='$(INFRA_OUT)/plan'
	@$(preflight)

.PHONY: deploy
deploy: package ## Apply infra/ to AWS after the checks of `make plan`; asks first unless YES=1
	@$(need-terraform)
	@$(TERRAFORM) -chdir=infra init -input=false >/dev/null
	@mkdir -p '$(INFRA_OUT)'
	@$(TERRAFORM) -chdir=infra plan -out='$(INFRA_OUT)/plan' >/dev/null
	@$(preflight)
	@$(TERRAFORM) -chdir=infra apply $(approve)

.PHONY: destroy
destroy: $(INFRA_OUT)/zips ## Remove everything from AWS except tables, secrets and logs; DATA=delete removes those too; asks first unless YES=1
	@$(need-terraform)
	@$(TERRAFORM) -chdir=infra init -input=false >/dev/null
ifeq ($(DATA),delete)
	@echo '==> Removing the protection of tables and secrets'
	@$(TERRAFORM) -chdir=infra apply -var=protect_data=false -target=aws_dynamodb_table.state -target=aws_secretsmanager_secret.this $(approve)
	@$(TERRAFORM) -chdir=infra destroy -var=protect_data=false $(approve)
else
	@targets=$$($(TERRAFORM) -chdir=infra state list | { grep -vE '^data\.|$(KEPT)' || true; } | sed "s/.*/-target='&'/" | tr '\n' ' '); \
	if [ -z "$$targets" ]; then echo 'Nothing to remove except data.'; exit 0; fi; \
	eval "$(TERRAFORM) -chdir=infra destroy $(approve) $$targets"
endif
destroy: export TF_VAR_zips := $(INFRA_OUT)/zips

.PHONY: secret
secret: ## Write a secret's value, typed without echo; NAME=census-token|census-webhook|pagerduty|chat|warehouse|heartbeat|connection-<name>
	@[ -n '$(NAME)' ] || { echo 'Missing: NAME, such as: make secret NAME=census-token' >&2; exit 1; }
	@command -v aws >/dev/null || { echo 'Install the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html' >&2; exit 1; }
	@read -rs -p 'Value of $(or $(SYNCWATCH_PREFIX),syncwatch)/$(NAME): ' value; echo; \
	aws secretsmanager put-secret-value --secret-id '$(or $(SYNCWATCH_PREFIX),syncwatch)/$(NAME)' --secret-string file:///dev/stdin <<<"$$value" >/dev/null

.PHONY: docs-tables
docs-tables: ## Write the tables of the documentation that come from the code
	SYNCWATCH_REWRITE_TABLES=1 cargo test $(LOCKED) --workspace --test it readme::

.PHONY: runbook-check
runbook-check: lab-zips ## Check the runbook alone: every anchor, and every command and SQL statement on the lab
	cargo test $(LOCKED) --workspace --lib runbook::
	cargo test $(LOCKED) --workspace --test it runbook::

.PHONY: setup
setup: ## Check this machine for missing packages; as root on Debian or Ubuntu, install them
	@PYTHON='$(PYTHON)' bash .ci/setup tests
	@$(MAKE) venv

.PHONY: venv
venv: $(VENV_STAMP) ## Make the Python environment with ministack and cargo-lambda

.PHONY: clean
clean: ## Remove all build output and the Python environments
	cargo clean
	rm -rf .venv .venv-infra .venv-spark .venv-clients .venv-page

$(VENV_STAMP):
	@PYTHON='$(PYTHON)' bash .ci/setup
	@echo '==> Making the Python environment in $(SYNCWATCH_VENV)'
	@$(PYTHON) -m venv --clear '$(SYNCWATCH_VENV)'
	@$(call pip-install,$(SYNCWATCH_VENV),$(REQUIREMENTS))
	@touch '$@'

$(LINT_STAMP):
	@echo '==> Making the Python environment for the linter in $(LINT_VENV)'
	@$(PYTHON) -m venv --clear '$(LINT_VENV)'
	@$(call pip-install,$(LINT_VENV),infra/requirements.txt)
	@touch '$@'

$(SPARK_STAMP):
	@echo '==> Making the Python environment for Spark in $(SPARK_VENV)'
	@$(PYTHON) -m venv --clear '$(SPARK_VENV)'
	@$(call pip-install,$(SPARK_VENV),$(SPARK_REQUIREMENTS))
	@touch '$@'

$(CLIENTS_STAMP):
	@echo "==> Making the Python environment for the vendors' clients in $(CLIENTS_VENV)"
	@$(PYTHON) -m venv --clear '$(CLIENTS_VENV)'
	@$(call pip-install,$(CLIENTS_VENV),tests/clients/requirements.txt)
	@touch '$@'

$(PAGE_STAMP):
	@echo "==> Making the Python environment for the browser's driver in $(PAGE_VENV)"
	@$(PYTHON) -m venv --clear '$(PAGE_VENV)'
	@$(call pip-install,$(PAGE_VENV),tests/page/requirements.txt)
	@touch '$@'

# From source: the crate registry does not have the published binary.
$(DENY)/bin/cargo-deny:
	@echo '==> Building cargo-deny $(DENY_VERSION) into $(DENY)'
	@CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)/cargo-deny' cargo install --quiet --locked --no-default-features --root '$(DENY)' cargo-deny@$(DENY_VERSION)

$(MUTANTS)/bin/cargo-mutants:
	@echo '==> Building cargo-mutants $(MUTANTS_VERSION) into $(MUTANTS)'
	@CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)/cargo-mutants' cargo install --quiet --locked --root '$(MUTANTS)' cargo-mutants@$(MUTANTS_VERSION)

# pip refuses a file without a pinned hash, or with another one.
pip-install = '$(1)/bin/python' -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(2)

# Empty zips are enough for plans that are not applied.
$(INFRA_OUT)/zips: infra/functions.json
	@for name in $(FUNCTIONS); do mkdir -p "$@/$$name"; touch "$@/$$name/bootstrap.zip"; done
	@touch '$@'

define need-terraform
command -v '$(TERRAFORM)' >/dev/null || { echo 'Missing: Terraform, 1.9 or newer (tried with 1.11). Install it from https://developer.hashicorp.com/terraform/install, or set TERRAFORM=/path/to/terraform' >&2; exit 1; }
endef

# Runs before anything is created: an apply that fails half-way leaves alarms and subscriptions out.
preflight = $(if $(filter 0,$(PREFLIGHT)),true,$(TERRAFORM) -chdir=infra show -json '$(INFRA_OUT)/plan' | $(PYTHON) infra/preflight.py)

approve = $(if $(filter-out 0,$(YES)),-auto-approve)
# Kept by `make destroy`: collected data, and values entered by hand.
KEPT := ^aws_dynamodb_table\.|^aws_secretsmanager_secret\.|aws_cloudwatch_log_group\.

# Always runs; cargo decides what is stale. cargo-lambda puts an included file at the path given on its command line, so this
# runs in infra/: `pipeline.toml` and `warehouse/` must be at the root of the zip, where the functions read them.
IN_ZIP := $(patsubst infra/%,--include %,infra/pipeline.toml $(sort $(wildcard infra/warehouse/*.sql)))

define build-zips
echo '==> Building the functions for $(1)'; \
cd infra; \
PATH="$(SYNCWATCH_VENV)/bin:$$PATH" cargo lambda build $(LOCKED) --manifest-path ../Cargo.toml --release --$(1) \
	$(addprefix --package ,$(PACKAGES)) --output-format zip $(IN_ZIP) \
	--lambda-dir '$(CARGO_TARGET_DIR)/lambda/$(1)'; \
$(call weigh-zips,$(FUNCTIONS),$(CARGO_TARGET_DIR)/lambda/$(1),$(ZIP_LIMIT))
endef

# A separate call of cargo: built together, all functions would share one `syncwatch` and link ODBC. Files of the zip are
# collected first, with the driver in lib/, which is on Lambda's library path.
define build-odbc-zips
echo '==> Building the functions with ODBC for $(1)'; \
root='$(CURDIR)'; inside='$(CARGO_TARGET_DIR)/lambda/odbc/inside'; \
rm -rf "$$inside"; mkdir -p "$$inside/lib" "$$inside/warehouse"; cp -p infra/pipeline.toml "$$inside"; \
cp -p infra/warehouse/*.sql "$$inside/warehouse"; \
$(if $(DRIVER),cp -Lp $(DRIVER) "$$inside/lib"; )cd "$$inside"; \
PATH="$(SYNCWATCH_VENV)/bin:$$PATH" cargo lambda build $(LOCKED) --manifest-path "$$root/Cargo.toml" --release --$(1) \
	$(addprefix --package ,$(ODBC_PACKAGES)) --features odbc --output-format zip $(IN_ZIP) \
	$(if $(DRIVER),--include lib) --lambda-dir '$(CARGO_TARGET_DIR)/lambda/odbc/$(1)'; \
$(call weigh-zips,$(ODBC_FUNCTIONS),$(CARGO_TARGET_DIR)/lambda/odbc/$(1),$(ODBC_ZIP_LIMIT))
endef

# Makes the zips reproducible, prints their sizes, and fails if one exceeds the limit.
define weigh-zips
for name in $(1); do \
	zip="$(2)/$$name/bootstrap.zip"; \
	$(PYTHON) '$(CURDIR)/.ci/settle-zips.py' "$$zip"; \
	size=$$(stat -c %s "$$zip"); \
	printf '    %-24s %d kB\n' "$$name" "$$((size / 1000))"; \
	if [ "$$size" -gt $(3) ]; then echo "$$zip is larger than $(3) bytes" >&2; exit 1; fi; \
done
endef
