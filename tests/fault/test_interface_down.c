/* SPDX-License-Identifier: MIT
 *
 * The network is away for a while.  In a network of its own for each test, in which
 * the loopback interface is all there is: it goes down and comes up again.
 */
#include "tests/support/run_rig.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct origin *o;

static void set_interface(bool up)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "%s",
		strerror(errno));
	close(fd);
}

/* This thread's alone; what it starts inherits it. */
static void start(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		cr_skip_test("no network namespaces here");
	}
	set_interface(true);
	o = origin_start();
	set_interface(false);
}

static void stop(void)
{
	set_interface(true);
	origin_stop(o);
}

static const char *job_with(unsigned retries)
{
	return keep_printf(
		"{\"url\":\"%s\",\"retries\":%u}\n", origin_url(o, "/"), retries);
}

/* What is sent over loopback is lost then.  The second job says when the first one has
 * found no network. */
Test(interface_down, for_a_while_is_a_matter_of_attempts, .timeout = 60)
{
	start();
	struct child c;
	const char *jobs = keep_printf("%s%s", job_with(10), job_with(0));
	child_start(&c,
		RUN("-q", "-w", "1", "-c", "1", "--unordered", "--connect-timeout",
			"0.2"),
		0);
	cr_assert(child_write(&c, jobs, strlen(jobs)));
	child_close(&c, 0);
	const char *first = child_read_line(&c, 1, HARNESS_DEADLINE_MS);
	cr_assert(first, "%s", c.got[2].data);
	check_says(first, "{\"index\":1,");
	check_says(first, "\"error\":\"timeout\"");
	check_says(first, "\"attempts\":1,");
	set_interface(true);
	const char *second = child_read_line(&c, 1, HARNESS_DEADLINE_MS);
	cr_assert(second, "%s", c.got[2].data);
	check_says(second, "\"ok\":true");
	cr_assert(!strstr(second, "\"attempts\":1,"), "%s", second);
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 1, "%s", c.got[2].data);
	child_fini(&c);
	stop();
}

/* There is no way to elsewhere.  No attempt more than the policy has. */
Test(interface_down, for_good_is_a_connect_error, .timeout = 60)
{
	start();
	struct ran r = run_to_end("http://192.0.2.1/\n", RUN("-q", "-w", "1"));
	check_status(&r, 1);
	cr_assert_eq(r.ct, 1);
	const json_t *result = json_array_get(r.results, 0);
	cr_assert_str_eq(text_in(result, "error"), "connect");
	cr_assert_eq(json_integer_value(field(result, "attempts")), 3);
	ran_fini(&r);
	stop();
}
