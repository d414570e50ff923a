/* SPDX-License-Identifier: MIT
 *
 * main - the command `poolmap`: an ordinary client of the library.
 *
 * Runs in: the master.  Makes the process safe to work in, reads the options,
 * and hands over to the command.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cli/settings.h"
#include "master/cli/help.h"
#include "master/cli/options.h"
#include "master/cli/report.h"
#include "master/cli/run.h"

/* A standard descriptor that is closed would be given to the next file that is
 * opened, and text would land in it.  What takes its place here refuses: reading
 * standard input and writing standard output then fail as they should. */
static void fill_stdio(void)
{
	static const int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			/* cppcheck-suppress leakReturnValNotUsed ; it gets this fd */
			(void)open("/dev/null", modes[fd]);
		}
	}
}

/* A write that fails shall say so by its result, not by a signal. */
static void ignore_write_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

static void raise_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	fill_stdio();
	ignore_write_signals();
	raise_files();
	int code = options_load(&options, argc, argv);
	if (code) {
		return code;
	}
	switch (options.command) {
	case COMMAND_HELP:
		code = options_print_help(options.help_on);
		break;
	case COMMAND_VERSION:
		code = options_print_version();
		break;
	case COMMAND_CONFIG:
		code = options_print_config(&options);
		break;
	case COMMAND_REPORT:
		code = report_command(&options);
		break;
	case COMMAND_RUN:
		settings = options.settings; /* before the workers are forked */
		code = run_command(argc, argv);
		break;
	}
	options_fini(&options);
	return code;
}
