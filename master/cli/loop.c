/* SPDX-License-Identifier: MIT
 *
 * loop - the event base of the command; see loop.h.
 *
 * Owns what libevent says and does when it cannot go on.
 */
#include "master/cli/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "master/cli/message.h"

/* Without descriptors for a base libevent ends the process, with an exit code that
 * means something else here. */
static void cannot_go_on(int unused)
{
	(void)unused;
	message_print("run", "cannot make an event loop: %s", strerror(errno));
	_exit(EXIT_WORKERS);
}

/* What it warns of is told by whoever called it, in our words. */
static void say_nothing(int unused, const char *text)
{
	(void)unused;
	(void)text;
}

int loop_open(struct event_base **base)
{
	event_set_log_callback(say_nothing);
	event_set_fatal_callback(cannot_go_on);
	*base = event_base_new();
	event_set_fatal_callback(NULL);
	if (!*base) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	return 0;
}

void loop_drop(struct event **event)
{
	if (*event) {
		event_free(*event);
		*event = NULL;
	}
}
