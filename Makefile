# make              build against the PostgreSQL of PG_CONFIG
# make install      install into it
# make installcheck test the installed extension on a running server
#
# make setup        install what building needs, on Debian; the targets below
#                   install what they need themselves
# make test         build, and test in a private copy of the server
# make test-clients drivers and ORMs, all of them
# make test-majors  test on every major that Debian has, each in a chroot
# make test-asserts test on a server with assertions, built in a chroot
# make test-citus   test on a cluster of Citus, whose server CITUS=.../pg_config has
# make deb          build Debian's packages
# make dist         make the archive for PGXN
# make test-packages build both, install and test them on Debians without a compiler
# make test-upgrade test pg_upgrade, dumps and replication from 15 to 17 and 18
# make lint         check format, warnings and symbols
# make indent       format the C sources
# make release      check that all agrees on VERSION=X.Y.Z, and tag it
# make demo         see it sell, on a throw-away server
# make bench        compare it with what it replaces

EXTENSION = purchase
MODULE_big = purchase
DATA = $(sort $(wildcard purchase--*--*.sql))
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

# The install script, of its parts: each needs those before it.
DATA_built = purchase--$(extversion).sql
SQL_PARTS = $(patsubst %,src/sql/%.sql,head registration calls sales doctor monitoring)
extversion := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" purchase.control)
# The library's version, which has a third number.
release := $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' META.json)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,\
	$(sort $(wildcard test/isolation/specs/*.spec)))
# Collations and the order of rows are UTF8's and C's, whatever the server's are.
REGRESS_OPTS = --encoding=UTF8 --no-locale
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=purchase

# As system headers, PostgreSQL's own don't warn.
PG_CPPFLAGS = -isystem $(server_headers) -DPURCHASE_VERSION='"$(release)"'
PG_CFLAGS = -Wall -Wextra
EXTRA_CLEAN = build .built-for

PG_CONFIG = pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
server_headers := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)

ifneq (,$(wildcard $(server_headers)/postgres.h))
include $(PGXS)

$(DATA_built): $(SQL_PARTS) purchase.control Makefile
	awk 'FNR == 1 && NR > 1 { print "" } 1' $(SQL_PARTS) >$@

# What was built for one server is built anew for another.
$(OBJS) $(OBJS:.o=.bc): .built-for $(wildcard src/*.h)
.built-for: FORCE
	@echo $(VERSION) $(release) | cmp -s - $@ || \
		echo $(VERSION) $(release) >$@

# pg_regress's own words don't tell what to do.
installcheck: superuser
superuser:
	@[ "$$('$(bindir)/psql' -XAtd postgres -c 'SHOW is_superuser')" = on ] || { \
		echo 'installcheck needs a running server and its superuser.' \
			'On Debian, this brings both for a while:' \
			'pg_virtualenv -v $(MAJORVERSION) make installcheck' >&2; exit 1; }
else
all install installcheck clean:
	@echo 'PostgreSQL'\''s server headers are missing: install' \
		'postgresql-server-dev-NN (or the like), run "make setup",' \
		'or name a pg_config with PG_CONFIG=...' >&2; exit 1
endif

# These work before the headers are there.
setup: script = test/setup build
test: script = test/run
test-clients: script = test/clients/run
test-majors: script = test/majors
test-asserts: script = test/asserts
test-citus: script = CITUS='$(CITUS)' test/citus/run
deb: script = test/deb
dist: script = test/dist
test-packages: script = test/packages
test-upgrade: script = test/upgrade/run
lint: script = test/lint
indent: script = test/indent
# without one on the command line, VERSION is the server's
release: script = test/release $(if $(filter command,$(origin VERSION)),$(VERSION))
demo: script = test/demo/run
bench: script = test/bench/run
setup test test-clients test-majors test-asserts test-citus test-upgrade deb dist test-packages \
lint indent release demo bench:
	@PG_CONFIG='$(PG_CONFIG)' $(script)

.PHONY: FORCE superuser setup test test-clients test-majors test-asserts test-citus test-upgrade \
	deb dist test-packages lint indent release demo bench
