/* SPDX-License-Identifier: MIT
 *
 * report_style - how the HTML report looks: on a screen, a phone and paper, light and
 * dark.
 *
 * The page has strangers' text in it.  So its policy (CSP) lets nothing be loaded or
 * run, and no style count but this one, which it names by its hash.
 */
#include <string.h>

#include "common/cli/base64.h"
#include "common/cli/digest.h"
#include "master/cli/report_page.h"

static const char style[] =
	":root{color-scheme:light dark;--page:#fff;--text:#1c2024;--soft:#5c6670;"
	"--line:#d5dae0;--box:#f4f6f8;--bar:#3f7fbf;--c0:#2e9e5b;--c1:#d1495b;"
	"--c2:#e28a2b;--c3:#8e5bb5;--c4:#c9a400;--c5:#2a8fa8;--c6:#b5651d;--c7:#d46ba8;"
	"--c8:#7a8691}\n"
	"@media (prefers-color-scheme:dark){:root{--page:#14171a;--text:#e4e8ec;"
	"--soft:#9aa5b0;--line:#343b43;--box:#1e2328;--bar:#5b9bd8;--c0:#3fb574;"
	"--c1:#e8697a;--c2:#f0a24f;--c3:#ae83d1;--c4:#dcbc33;--c5:#4fb3cb;--c6:#d08a4a;"
	"--c7:#e48fc1;--c8:#98a4af}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--page);color:var(--text);"
	"font:16px/1.5 system-ui,sans-serif}\n"
	"main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}\n"
	"h1{font-size:1.5rem;line-height:1.25;margin:0;overflow-wrap:anywhere}\n"
	"h2{font-size:1.1rem;margin:2.25rem 0 .5rem}\n"
	"p{margin:.35rem 0 1rem}\n"
	".answer::first-letter{text-transform:uppercase}\n"
	".soft{color:var(--soft)}\n"
	"dl{display:grid;gap:.5rem;grid-template-columns:"
	"repeat(auto-fit,minmax(8.5rem,1fr));margin:1.25rem 0}\n"
	"dl div{background:var(--box);border-radius:.4rem;padding:.5rem .75rem}\n"
	"dt{color:var(--soft);font-size:.85rem}\n"
	"dd{margin:0;font-size:1.2rem;font-variant-numeric:tabular-nums}\n"
	"dd small{color:var(--soft);font-size:.85rem}\n"
	".scroll{overflow-x:auto}\n"
	"table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
	"min-width:min(100%,32rem)}\n"
	"th,td{padding:.3rem 1rem .3rem 0;text-align:left;vertical-align:top;"
	"border-bottom:1px solid var(--line)}\n"
	"th{color:var(--soft);font-weight:500;font-size:.85rem;white-space:nowrap}\n"
	".n{text-align:right;white-space:nowrap}\n"
	".w{overflow-wrap:anywhere;min-width:11rem;width:60rem}\n"
	".h{overflow-wrap:anywhere;min-width:6.5rem}\n"
	".k{white-space:nowrap}\n"
	"td div{color:var(--soft);font-size:.9rem}\n"
	"svg{display:block}\n"
	".key{display:inline-block;width:.75em;height:.75em;margin-right:.5em}\n"
	".share{width:100%;height:1.5rem;border-radius:.3rem;margin:.75rem 0}\n"
	".times{width:100%;max-width:40rem;height:auto;margin-top:.5rem}\n"
	".times text{font-size:12px;fill:var(--soft)}\n"
	".times .mark{fill:var(--text);paint-order:stroke;stroke:var(--page);"
	"stroke-width:4px}\n"
	".times line{stroke:var(--line)}\n"
	".times .q{stroke:var(--text);stroke-dasharray:3 3}\n"
	".bar{fill:var(--bar)}\n"
	".c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}"
	".c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}.c7{fill:var(--c7)}"
	".c8{fill:var(--c8)}\n"
	"@media (max-width:32rem){table{font-size:.8rem}th,td{padding-right:.5rem}"
	"th,td div{font-size:.75rem}}\n"
	"@media print{:root{color-scheme:light;--page:#fff;--text:#000;--soft:#444;"
	"--line:#bbb;--box:#f2f2f2}body{font-size:10pt}main{max-width:none;padding:0}"
	".scroll{overflow:visible}tr,svg,dl "
	"div{break-inside:avoid}h2{break-after:avoid}"
	"*{print-color-adjust:exact}}\n";

static int hex_value(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

enum { HASH_BYTES = DIGEST_HEX_LEN / 2, HASH_CHARS = 44 };

/* SHA-256 in base64. */
static int hash_style(char out[HASH_CHARS + 1])
{
	char hex[DIGEST_HEX_LEN + 1];
	unsigned char bytes[HASH_BYTES];
	struct digest digest = {0};
	if (digest_start(&digest)) {
		return PM_ENOMEM;
	}
	digest_add(&digest, style, strlen(style));
	digest_end(&digest, hex);
	digest_fini(&digest);
	for (size_t i = 0; i < HASH_BYTES; i++) {
		bytes[i] = (unsigned char)(hex_value(hex[2 * i]) << 4 |
					   hex_value(hex[2 * i + 1]));
	}
	base64_encode(out, bytes, sizeof bytes);
	out[HASH_CHARS] = '\0';
	return 0;
}

_Static_assert((HASH_BYTES + 2) / 3 * 4 == HASH_CHARS, "base64 of the hash");

void page_put_style(struct report_page *p)
{
	char hash[HASH_CHARS + 1] = "";
	p->err = p->err ? p->err : hash_style(hash);
	page_put(p,
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
		"'none'; style-src 'sha256-%s'; base-uri 'none'; form-action "
		"'none'\"/>\n",
		hash);
	page_put(p, "<style>%s</style>\n", style);
}
