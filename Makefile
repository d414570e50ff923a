# poolmap - build, test, install.  `make help` lists the targets.
#
# Every flavour builds in a directory of its own: build/release, build/debug,
# build/asan, build/tsan.  Source lists are the folders: common/ master/ worker/
# make the library, their cli/ folders make the command.

VERSION := 0.1.0
SONAME  := libpoolmap.so.0

FLAVOUR ?= release
B       := build/$(FLAVOUR)
CC      ?= gcc
PREFIX  ?= /usr/local

PACKAGES := libevent_core nanomsg libcurl jansson libconfuse
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
LIB_LIBS   = $(shell pkg-config --libs libevent_core nanomsg libcurl) -pthread
CLI_LIBS   = $(shell pkg-config --libs jansson libconfuse)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wcast-qual
BASE := -std=c11 -D_GNU_SOURCE -I. -fPIC -fvisibility=hidden -MMD -MP $(WARN)
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
OPT_debug   := -O0 -g
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
SAN_asan    := -fsanitize=address,undefined
SAN_tsan    := -fsanitize=thread
CFLAGS  ?=
LDFLAGS ?=
COMPILE = $(CC) $(BASE) $(OPT_$(FLAVOUR)) $(PKG_CFLAGS) $(CFLAGS)
LINK    = $(CC) $(OPT_$(FLAVOUR)) $(SAN_$(FLAVOUR)) $(LDFLAGS)

LIB_SRC := $(wildcard common/*.c master/*.c worker/*.c)
CLI_SRC := $(wildcard common/cli/*.c master/cli/*.c worker/cli/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/%.o)

all: $(B)/libpoolmap.a $(B)/poolmap $(B)/$(SONAME)

# One object with every symbol but pm_* made local, so that the static library
# exports what the shared one does.
$(B)/libpoolmap.o: $(LIB_OBJ)
	ld -r -o $@ $^
	objcopy --localize-hidden $@
$(B)/libpoolmap.a: $(B)/libpoolmap.o
	rm -f $@ && ar rcs $@ $^
$(B)/$(SONAME): $(LIB_OBJ)
	$(LINK) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LIB_LIBS)
$(B)/poolmap: $(CLI_OBJ) $(B)/common/buf.o $(B)/libpoolmap.a
	$(LINK) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)
.PHONY: all
