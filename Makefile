# poolmap - build, test, install.  `make help` lists the targets.
#
# Every flavour builds in a directory of its own: build/release, build/debug,
# build/asan, build/tsan.  Source lists are the folders: common/ master/ worker/
# make the library, their cli/ folders make the command.

VERSION := 0.1.0
SONAME  := libpoolmap.so.0

FLAVOUR ?= release
B       := build/$(FLAVOUR)
PREFIX  ?= /usr/local
DESTDIR ?=
# For packagers: make install LIBDIR=/usr/lib/x86_64-linux-gnu
BINDIR     = $(PREFIX)/bin
INCLUDEDIR = $(PREFIX)/include
LIBDIR     = $(PREFIX)/lib
MANDIR     = $(PREFIX)/share/man
DOCDIR     = $(PREFIX)/share/doc/poolmap

PACKAGES := libevent_core nanomsg libcurl libcares jansson libconfuse libcrypto zlib libseccomp
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LIB_LIBS   := $(shell pkg-config --libs libevent_core nanomsg libcurl libcares 2>/dev/null) -pthread
CLI_LIBS   := $(shell pkg-config --libs jansson libconfuse libcrypto zlib libseccomp 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wcast-qual
BASE := -std=c11 -D_GNU_SOURCE -I. -fPIC -fvisibility=hidden -MMD -MP $(WARN)
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection
OPT_debug   := -O1 -g
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-missing-field-initializers
HARDEN_release := -Wl,-z,relro,-z,now
CFLAGS  ?=
LDFLAGS ?=
COMPILE = $(CC) $(BASE) $(OPT_$(FLAVOUR)) $(PKG_CFLAGS) $(CFLAGS)
LINK    = $(CC) $(OPT_$(FLAVOUR)) $(HARDEN_$(FLAVOUR)) $(LDFLAGS)

LIB_SRC := $(wildcard common/*.c master/*.c worker/*.c)
CLI_SRC := $(wildcard common/cli/*.c master/cli/*.c worker/cli/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/%.o)

all: $(B)/libpoolmap.a $(B)/$(SONAME) $(B)/poolmap

# One object in which every symbol but pm_* is local, so that the static library
# exports what the shared one does.
$(B)/libpoolmap.o: $(LIB_OBJ)
	@echo "  LD  $@"
	@$(LD) -r -o $@ $^
	@objcopy --localize-hidden $@
$(B)/libpoolmap.a: $(B)/libpoolmap.o
	@echo "  AR  $@"
	@rm -f $@ && ar rcs $@ $^
$(B)/$(SONAME): $(LIB_OBJ)
	@echo "  LD  $@"
	@$(LINK) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LIB_LIBS)
	@ln -sf $(SONAME) $(B)/libpoolmap.so
$(B)/poolmap: $(CLI_OBJ) $(B)/common/buf.o $(B)/common/method.o \
		$(B)/common/name_hash.o $(B)/libpoolmap.a
	@echo "  LD  $@"
	@$(LINK) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC  $<"
	@$(COMPILE) -c -o $@ $<

# ------------------------------------------------------------------------ tests
#
# Each tests/<kind>/test_x.c is a Criterion program.  They link the modules
# themselves, from an archive, so that a test may put a stub in a module's place.

SUPPORT_SRC := $(wildcard tests/support/*.c)
ORIGIN_OBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/origin*.c))
HARNESS_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out $(wildcard tests/support/origin*.c),$(SUPPORT_SRC)))
MODULES     := $(filter-out $(B)/master/cli/main.o,$(LIB_OBJ) $(CLI_OBJ))
TEST_LIBS   := -lcriterion $(CLI_LIBS) $(LIB_LIBS)

UNIT        := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
INTEGRATION := $(patsubst %.c,$(B)/%,$(wildcard tests/integration/test_*.c))
FAULT       := $(patsubst %.c,$(B)/%,$(wildcard tests/fault/test_*.c))
# Clients of the library: the examples, and hosts that tests kill.
EXAMPLES    := $(patsubst %.c,$(B)/%,$(wildcard tests/examples/*.c tests/fault/prog_*.c))
# What lets calls fail, one after the other.
TORTURE     := $(B)/tests/fault/torture.so
PROGRAMS    := $(B)/poolmap $(B)/tests/support/origin $(EXAMPLES) $(TORTURE)

$(B)/tests/modules.a: $(MODULES)
	@mkdir -p $(@D)
	@rm -f $@ && ar rcs $@ $^
$(B)/tests/%: $(B)/tests/%.o $(HARNESS_OBJ) $(B)/tests/modules.a
	@echo "  LD  $@"
	@$(LINK) -o $@ $< $(HARNESS_OBJ) $(B)/tests/modules.a $(TEST_LIBS)
$(B)/tests/support/origin: $(ORIGIN_OBJ)
	@echo "  LD  $@"
	@$(LINK) -o $@ $^ $(LIB_LIBS) -levent_openssl -lssl -lcrypto -lz
# They include <poolmap.h>, as a program outside the tree does.
$(EXAMPLES:%=%.o): PKG_CFLAGS := -Icommon
$(B)/tests/fault/torture.so: $(B)/tests/fault/torture.o
	@echo "  LD  $@"
	@$(LINK) -shared -o $@ $<
$(B)/tests/examples/readhub: EXAMPLE_LIBS := -ljansson
$(EXAMPLES): $(B)/%: $(B)/%.o $(B)/libpoolmap.a
	@echo "  LD  $@"
	@$(LINK) -o $@ $^ $(LIB_LIBS) $(EXAMPLE_LIBS)

# Each tests/fuzz/fuzz_x.c is a target of libFuzzer; without it, a program that is
# given the files of tests/fuzz/corpus/x, one by one.
FUZZ      := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MAIN := $(if $(filter fuzz,$(FLAVOUR)),-fsanitize=fuzzer,$(B)/tests/fuzz/replay.o)
$(FUZZ): $(B)/%: $(B)/%.o $(B)/tests/fuzz/replay.o $(B)/tests/modules.a
	@echo "  LD  $@"
	@$(LINK) -o $@ $< $(FUZZ_MAIN) $(B)/tests/modules.a $(CLI_LIBS) $(LIB_LIBS)
fuzz-built: $(FUZZ)

tests-built: $(B)/libpoolmap.a $(B)/$(SONAME) $(PROGRAMS) $(UNIT) $(INTEGRATION) $(FAULT) $(FUZZ)

# What `make test` is made of, without the installation.
check: tests-built
	@tests/run.sh $(B)
check-unit: $(UNIT) $(PROGRAMS)
	@tests/run.sh $(B) unit
check-integration: $(INTEGRATION) $(PROGRAMS)
	@tests/run.sh $(B) integration
check-fault: $(FAULT) $(PROGRAMS)
	@tests/run.sh $(B) fault

# The long versions of what stands in tests/fault, each with its figures on a line.
fault: deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(PROGRAMS)
	@for script in tests/fault/long/*.sh; do $$script $(B) || exit 1; done

# Each allocation, each fork, each write ... of the master, the forkserver and the
# workers fails in turn.
torture: deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(PROGRAMS)
	@tests/fault/long/torture.sh $(B)

test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) tests-built
	@$(MAKE) --no-print-directory check

asan:
	@$(MAKE) --no-print-directory -j$$(nproc) FLAVOUR=asan tests-built
	@$(MAKE) --no-print-directory FLAVOUR=asan check
tsan:
	@$(MAKE) --no-print-directory -j$$(nproc) FLAVOUR=tsan build/tsan/poolmap \
		build/tsan/tests/fault/prog_host build/tsan/tests/support/origin
	@tests/run.sh build/tsan tsan
valgrind:
	@$(MAKE) --no-print-directory -j$$(nproc) FLAVOUR=debug tests-built
	@tests/run.sh build/debug valgrind

# FUZZ_SECONDS for each target, FUZZ_TARGETS some of them.
fuzz:
	@tests/support/deps.sh clang libclang-rt-14-dev
	@$(MAKE) --no-print-directory -j$$(nproc) FLAVOUR=fuzz CC=clang fuzz-built
	@tests/fuzz/run.sh build/fuzz
# Every state of the delivery protocol, and of what is left out of it on purpose.
model:
	@tests/support/deps.sh gcc spin
	@tests/model/run.sh
# gcc -fanalyzer, clang-tidy, cppcheck, shellcheck; LINT_FILES some of them.
.PHONY: lint
lint:
	@tests/support/deps.sh gcc clang-tidy cppcheck shellcheck
	@FLAGS='-std=c11 -D_GNU_SOURCE -I. -idirafter common $(PKG_CFLAGS)' \
		tests/lint/run.sh build/lint $(LINT_FILES)

# --------------------------------------------------------------- demo and bench

deps:
	@tests/support/deps.sh
demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/support/origin
	@tests/support/demo.sh $(B)
bench: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/support/origin bench-built
	@tests/bench/run.sh $(B)
	@tests/bench/many_hosts.sh $(B)
bench-pool: deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(B)/tests/bench/pool_bench
	@tests/bench/pool.sh $(B)
BENCH := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
bench-built: $(BENCH)
$(B)/tests/bench/dns_server: $(B)/tests/support/dns.o
$(B)/tests/bench/warc_read: $(HARNESS_OBJ) $(B)/tests/modules.a
$(B)/tests/bench/warc_read: BENCH_LIBS := $(TEST_LIBS)
$(BENCH): $(B)/%: $(B)/%.o $(B)/libpoolmap.a
	@echo "  LD  $@"
	@$(LINK) -o $@ $^ $(BENCH_LIBS) $(LIB_LIBS)

# ---------------------------------------------------------------------- install

# Manual pages stand beside the code they describe.  Each is installed under every
# name of its NAME section, so that `man pm_gather` finds pm_spawn.3.
MAN := $(wildcard common/*.[1-8] master/*.[1-8] worker/*.[1-8] master/cli/*.[1-8])
man_names = sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' $(1)
# From a page's path: man3/pm_spawn.3
man_place = man$(subst .,,$(suffix $(1)))/$(notdir $(1))

# Under the prefix, so that the tree can be moved with pkg-config --define-prefix.
pc_path = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

define INSTALL_PAGE
	install -m 644 $(1) '$(DESTDIR)$(MANDIR)/$(call man_place,$(1))'
	@for name in $$($(call man_names,$(1))); do \
		link='$(DESTDIR)$(MANDIR)'/$(dir $(call man_place,$(1)))$$name$(suffix $(1)); \
		[ $$name$(suffix $(1)) = $(notdir $(1)) ] || ln -sf $(notdir $(1)) "$$link" || exit 1; \
	done

endef

define UNINSTALL_PAGE
	@for name in $(basename $(notdir $(1))) $$($(call man_names,$(1))); do \
		rm -f '$(DESTDIR)$(MANDIR)'/$(dir $(call man_place,$(1)))$$name$(suffix $(1)) || exit 1; \
	done

endef

# The dynamic linker has a list of the libraries in the places it searches.
refresh_linker = @[ -n '$(DESTDIR)' ] || \
	! ldconfig -vNX 2>/dev/null | grep -q '^$(LIBDIR):' || ldconfig

install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(INCLUDEDIR)' \
		'$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(DOCDIR)' \
		'$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man3' '$(DESTDIR)$(MANDIR)/man5'
	install -m 755 $(B)/poolmap '$(DESTDIR)$(BINDIR)/poolmap'
	install -m 644 common/poolmap.h '$(DESTDIR)$(INCLUDEDIR)/poolmap.h'
	install -m 644 $(B)/libpoolmap.a '$(DESTDIR)$(LIBDIR)/libpoolmap.a'
	install -m 755 $(B)/$(SONAME) '$(DESTDIR)$(LIBDIR)/libpoolmap.so.$(VERSION)'
	ln -sf libpoolmap.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libpoolmap.so'
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@INCLUDEDIR@|$(call pc_path,$(INCLUDEDIR))|' \
		-e 's|@LIBDIR@|$(call pc_path,$(LIBDIR))|; s|@VERSION@|$(VERSION)|' \
		-e 's|@LIBS@|$(strip $(LIB_LIBS))|' config/poolmap.pc.in | \
		install -m 644 /dev/stdin '$(DESTDIR)$(LIBDIR)/pkgconfig/poolmap.pc'
	install -m 644 config/poolmap.conf '$(DESTDIR)$(DOCDIR)/poolmap.conf'
	$(foreach page,$(MAN),$(call INSTALL_PAGE,$(page)))
	$(refresh_linker)
# The directories that others use, too, stay.
uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/poolmap' '$(DESTDIR)$(INCLUDEDIR)/poolmap.h'
	for file in libpoolmap.a libpoolmap.so $(SONAME) libpoolmap.so.$(VERSION) \
		pkgconfig/poolmap.pc; do rm -f '$(DESTDIR)$(LIBDIR)'/$$file || exit 1; done
	rm -f '$(DESTDIR)$(DOCDIR)/poolmap.conf'
	[ ! -d '$(DESTDIR)$(DOCDIR)' ] || rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(DOCDIR)'
	$(foreach page,$(MAN),$(call UNINSTALL_PAGE,$(page)))
	$(refresh_linker)

# ------------------------------------------------------------------------- rest

SOURCES := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
format:
	clang-format -i $(SOURCES)
format-check:
	clang-format --dry-run -Werror $(SOURCES)

clean:
	rm -rf build

help:
	@echo 'make all         the library and the command, in build/release'
	@echo 'make demo        install what is missing, build, fetch 2,000 URLs from a local server'
	@echo 'make test        install what is missing, build, run every test'
	@echo 'make check       run every test; check-unit, check-integration, check-fault: some'
	@echo 'make fault       chaos for many minutes: everything is killed, stopped or full'
	@echo 'make torture     each allocation, each write, each fork fails in turn; takes an hour'
	@echo 'make asan        every test under AddressSanitizer and UBSan'
	@echo 'make tsan        hosts with threads, and the command, under ThreadSanitizer'
	@echo 'make valgrind    the tests under valgrind'
	@echo 'make fuzz        libFuzzer on all that reads bytes from outside; FUZZ_SECONDS=60 each'
	@echo 'make model       the model of the delivery of jobs, and mutants of it (spin)'
	@echo 'make lint        static analysis of all sources and scripts; LINT_FILES: some'
	@echo 'make bench       the measurements of tests/bench/README.md'
	@echo 'make bench-pool  jobs that do nothing, side by side with the pools of Python'
	@echo 'make install     to PREFIX=$(PREFIX), below DESTDIR; uninstall'
	@echo 'make format      clang-format on all sources; format-check'
	@echo 'FLAVOUR=debug    another build; also asan, tsan'

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)
-include $(patsubst %.c,$(B)/%.d,$(wildcard tests/*/*.c))
.PHONY: all tests-built check check-unit check-integration check-fault fault torture test asan tsan \
	valgrind fuzz fuzz-built model deps demo bench bench-pool bench-built install uninstall format format-check clean help
.SECONDARY:
