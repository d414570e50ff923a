/* SPDX-License-Identifier: MIT
 *
 * fuzz_config - the configuration file, up to the settings that come of it.  libconfuse
 * reads it, too.
 */
#include "master/cli/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[FUZZ_PATH_MAX];
	struct config config = {0};
	(void)fuzz_file(path, data, size);
	clearenv(); /* a file may name variables */
	setenv("NAME", "value", 1);
	if (config_read(&config, path) == 0) {
		for (size_t i = 0; i < config.entry_ct; i++) {
			FUZZ_CHECK(config.entries[i].id < OPTION_CT);
			FUZZ_CHECK(config.entries[i].text && config.entries[i].line);
		}
		for (size_t i = 0; i < config.host_ct; i++) {
			FUZZ_CHECK(config.hosts[i].pattern);
			FUZZ_CHECK(config.hosts[i].concurrency.text ||
				   config.hosts[i].rate.text);
		}
	}
	config_fini(&config);
	return 0;
}
