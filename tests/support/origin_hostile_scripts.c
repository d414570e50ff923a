/* SPDX-License-Identifier: MIT
 *
 * origin_hostile_scripts - what the hostile paths of the origin say, byte for byte.
 * What a client must make of each stands in tests/fault/test_hostile.c.
 *
 * Runs in: the origin.  Plain data.
 *
 * A string that ends in an escape like \x0f and is followed by a digit is cut in two
 * there, or the digit would be taken for part of the escape.
 */
#include "tests/support/origin_hostile.h"

#define T(text)                                                                        \
	{                                                                              \
		text, sizeof(text) - 1                                                 \
	}

#define OK "HTTP/1.1 200 OK\r\n"
#define SIZED(n) "Content-Length: " #n "\r\n"
#define FIVE OK SIZED(5) "\r\nhello"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CODED(coding) OK "Content-Encoding: " coding "\r\n"
#define FOUND(to) "HTTP/1.1 302 Found\r\nLocation: " to "\r\n" SIZED(0) "\r\n"
#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define GZ10 "gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip"

/* A block without end: one "z", then matches of 258 bytes; 13 bytes are 8 of them. */
#define DEFLATE_FIRST "\xab\x1a\x05"
#define DEFLATE_AGAIN "\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x28\x18\x05"
/* A block of one byte, 128 KiB times. */
#define ZSTD_AGAIN "\x02\x00\x10z"
/* 256 KiB of one byte each. */
#define BROTLI_FIRST                                                                   \
	"\xf4\xff\x1f\x00\x48\xe8\xc5\x63\x81\xe4\xde\x07\xe8\xff\x3f\x00\x90\x00\x88" \
	"\xc3\x02\xd0\xbd\x0f\x30\x00"
#define BROTLI_AGAIN                                                                   \
	"\xfa\xff\x0f\x00\x24\x00\xe2\xb0\x00\x74\xef\x03\xf4\xff\x1f\x00\x48\x00\xc4" \
	"\x61\x01\xe8\xde\x07\x18"
/* 8 MiB of one byte, compressed twice. */
#define GZIP_TWICE                                                                     \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xd7\xb1\x09\x83\x40\x00\x85"     \
	"\xe1\x3b\x8f\xc0\xe1\x12\x41\xc8\x0e\x19\xc7\x05\x02\xae\x20\x58\xa6\xc9"     \
	"\x00\x59\x41\x88\x23\x38\x87\x85\x0b\x08\x19\xc1\x9c\x63\x18\xbe\xaf\xfa"     \
	"\xeb\xd7\xbd\xeb\x33\x87\x43\x95\xb6\x39\xc6\x12\xfd\x6b\x1d\xbf\xb9\x0e"     \
	"\x00\x00\x00\xc0\x9f\xeb\x97\x21\x55\x47\x34\x7b\x7b\xbf\xd9\x03\x00\x00"     \
	"\x00\x4e\xe0\x7d\xe9\x3e\x8f\xa9\xdc\xfa\xf0\x03\x43\x3e\xa0\xa0\xef\x1f"     \
	"\x00\x00"

const struct script scripts[] = {
	/* time */
	{.name = "silence", .then = THEN_HANG},
	{.name = "half-line", .first = T("HTTP/1.1 20"), .then = THEN_HANG},
	{.name = "half-head", .first = T(OK "X: y\r\n"), .then = THEN_HANG},
	{.name = "half-body",
		.first = T(OK SIZED(100) "\r\nten bytes\n"),
		.then = THEN_HANG},
	{.name = "half-chunk",
		.first = T(OK CHUNKED "\r\n10\r\nten"),
		.then = THEN_HANG},
	{.name = "slow-head",
		.first = T(OK "X: "),
		.again = T("x"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-lines",
		.first = T(OK),
		.again = T("X: y\r\n"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-body",
		.first = T(OK SIZED(1000000) "\r\n"),
		.again = T("x"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-chunks",
		.first = T(OK CHUNKED "\r\n"),
		.again = T("1\r\nx\r\n"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-extension",
		.first = T(OK CHUNKED "\r\n5;x="),
		.again = T("x"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-trailers",
		.first = T(OK CHUNKED "\r\n0\r\n"),
		.again = T("X: y\r\n"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "slow-1xx",
		.again = T("HTTP/1.1 100 Continue\r\n\r\n"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{.name = "endless-extension",
		.first = T(OK CHUNKED "\r\n5;x="),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "endless-empty-lines", .again = T("\r\n"), .again_ct = FOR_EVER},

	/* heads without measure */
	{.name = "endless-headers",
		.first = T(OK),
		.again = T("X: y\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-header",
		.first = T(OK "X: "),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "endless-reason",
		.first = T("HTTP/1.1 200 "),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "endless-folds",
		.first = T(OK "X: y\r\n"),
		.again = T(" x\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-cookies",
		.first = T(OK),
		.again = T("Set-Cookie: a=b\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-location",
		.first = T("HTTP/1.1 302 Found\r\nLocation: /"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "endless-100",
		.again = T("HTTP/1.1 100 Continue\r\n\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-103",
		.again = T("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-trailers",
		.first = T(OK CHUNKED "\r\n0\r\n"),
		.again = T("X: y\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-trailer",
		.first = T(OK CHUNKED "\r\n0\r\nX: "),
		.again = T(X1000),
		.again_ct = FOR_EVER},

	{.name = "trailers-as-head",
		.first = T(OK CHUNKED "\r\n0\r\nHTTP/x: y\r\n"),
		.again = T("X: y\r\n"),
		.again_ct = FOR_EVER},

	/* bodies without measure */
	{.name = "endless-body",
		.first = T(OK "\r\n"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "endless-chunks",
		.first = T(OK CHUNKED "\r\n"),
		.again = T("64\r\n" X100 "\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-tiny-chunks",
		.first = T(OK CHUNKED "\r\n"),
		.again = T("1\r\nx\r\n"),
		.again_ct = FOR_EVER},
	{.name = "endless-chunk",
		.first = T(OK CHUNKED "\r\n7fffffffffffffff\r\n"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "announced",
		.first = T(OK SIZED(9223372036854775807) "\r\n"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "bomb-gzip",
		.first = T(
			CODED("gzip") "\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff" DEFLATE_FIRST),
		.again = T(DEFLATE_AGAIN),
		.again_ct = FOR_EVER},
	{.name = "bomb-deflate",
		.first = T(CODED("deflate") "\r\n\x78\x9c" DEFLATE_FIRST),
		.again = T(DEFLATE_AGAIN),
		.again_ct = FOR_EVER},
	{.name = "bomb-br",
		.first = T(CODED("br") "\r\n" BROTLI_FIRST),
		.again = T(BROTLI_AGAIN),
		.again_ct = FOR_EVER},
	{.name = "bomb-zstd",
		.first = T(CODED("zstd") "\r\n\x28\xb5\x2f\xfd\0\x38"),
		.again = T(ZSTD_AGAIN),
		.again_ct = FOR_EVER},
	{.name = "bomb-in-bomb",
		.first = T(CODED("gzip, gzip") SIZED(110) "\r\n" GZIP_TWICE)},

	/* codings that lie */
	{.name = "coded-not", .first = T(CODED("gzip") SIZED(5) "\r\nhello")},
	{.name = "coded-50-times",
		.first = T(CODED(GZ10 ", " GZ10 ", " GZ10 ", " GZ10 ", " GZ10)
				SIZED(5) "\r\nhello")},
	{.name = "coded-unknown", .first = T(CODED("evil") SIZED(5) "\r\nhello")},
	{.name = "coded-cut",
		.first = T(CODED("gzip") SIZED(
			13) "\r\n"
			    "\x1f\x8b\x08\0\0\0\0\0\0\xff" DEFLATE_FIRST)},
	{.name = "coded-noise",
		.first =
			T(CODED("br") SIZED(8) "\r\n\xff\xff\xff\xff\xff\xff\xff\xff")},

	/* lengths */
	{.name = "length-negative", .first = T(OK SIZED(-1) "\r\nhello")},
	{.name = "length-huge", .first = T(OK SIZED(99999999999999999999) "\r\nhello")},
	{.name = "length-word", .first = T(OK SIZED(five) "\r\nhello")},
	{.name = "length-hex", .first = T(OK SIZED(0x5) "\r\nhello")},
	{.name = "length-empty", .first = T(OK "Content-Length:\r\n\r\nhello")},
	{.name = "two-lengths", .first = T(OK SIZED(5) SIZED(3) "\r\nhello")},
	{.name = "length-and-chunks",
		.first = T(OK SIZED(5) CHUNKED "\r\n5\r\nhello\r\n0\r\n\r\n")},
	{.name = "length-folded",
		.first = T(OK "Content-Length: 5\r\n 0\r\n\r\nhello"),
		.then = THEN_FIN},
	{.name = "coding-unknown",
		.first = T(OK "Transfer-Encoding: evil\r\n\r\nhello"),
		.then = THEN_FIN},
	{.name = "too-short", .first = T(OK SIZED(100) "\r\nhello"), .then = THEN_FIN},
	{.name = "too-long", .first = T(FIVE " and more that nobody asked for")},
	{.name = "204-with-body",
		.first = T("HTTP/1.1 204 No Content\r\n" SIZED(5) "\r\nhello")},
	{.name = "304-with-body",
		.first = T("HTTP/1.1 304 Not Modified\r\n" SIZED(5) "\r\nhello")},

	/* chunks */
	{.name = "chunk-negative",
		.first = T(OK CHUNKED "\r\n-5\r\nhello\r\n0\r\n\r\n")},
	{.name = "chunk-huge",
		.first = T(OK CHUNKED "\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n")},
	{.name = "chunk-word", .first = T(OK CHUNKED "\r\nhello\r\n0\r\n\r\n")},
	{.name = "chunk-empty", .first = T(OK CHUNKED "\r\n\r\nhello\r\n0\r\n\r\n")},
	{.name = "chunk-longer", .first = T(OK CHUNKED "\r\n3\r\nhello\r\n0\r\n\r\n")},
	{.name = "chunk-cut", .first = T(OK CHUNKED "\r\n5\r\nhe"), .then = THEN_FIN},
	{.name = "chunks-unended",
		.first = T(OK CHUNKED "\r\n5\r\nhello\r\n"),
		.then = THEN_FIN},
	{.name = "trailers",
		.first = T(OK CHUNKED "\r\n5\r\nhello\r\n0\r\n"
				      "Content-Length: 3\r\nSet-Cookie: a=b\r\n\r\n")},

	{.name = "trailer-as-head",
		.first = T(
			OK CHUNKED "X: y\r\n\r\n5\r\nhello\r\n0\r\nHTTP/x: y\r\n\r\n")},
	{.name = "trailer-bad",
		.first =
			T(OK CHUNKED "\r\n5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n")},

	/* heads that are none */
	{.name = "empty", .then = THEN_FIN},
	{.name = "empty-line", .first = T("\r\n\r\n"), .then = THEN_FIN},
	{.name = "half-line-fin", .first = T("HTTP/1.1 2"), .then = THEN_FIN},
	{.name = "half-head-fin", .first = T(OK "X: y"), .then = THEN_FIN},
	{.name = "http-0.9", .first = T("hello"), .then = THEN_FIN},
	{.name = "http-9.9",
		.first = T("HTTP/9.9 200 OK\r\n" SIZED(5) "\r\nhello"),
		.then = THEN_FIN},
	{.name = "icy", .first = T("ICY 200 OK\r\n\r\nhello"), .then = THEN_FIN},
	{.name = "ssh", .first = T("SSH-2.0-OpenSSH_9.2p1\r\n"), .then = THEN_FIN},
	{.name = "noise",
		.first = T("\0\xff\x01\xfe\r\n\x7f\x1b[2J\r\n\r\n"),
		.then = THEN_FIN},
	{.name = "status-none",
		.first = T("HTTP/1.1\r\n" SIZED(5) "\r\nhello"),
		.then = THEN_FIN},
	{.name = "status-negative",
		.first = T("HTTP/1.1 -1 OK\r\n" SIZED(5) "\r\nhello"),
		.then = THEN_FIN},
	{.name = "status-0", .first = T("HTTP/1.1 000 OK\r\n" SIZED(5) "\r\nhello")},
	{.name = "status-999", .first = T("HTTP/1.1 999 OK\r\n" SIZED(5) "\r\nhello")},
	{.name = "status-1000",
		.first = T("HTTP/1.1 1000 OK\r\n" SIZED(5) "\r\nhello"),
		.then = THEN_FIN},
	{.name = "header-nul", .first = T(OK "X: a\0b\r\n" SIZED(5) "\r\nhello")},
	{.name = "header-cr",
		.first = T(OK "X: a\rSet-Cookie: b\r\n" SIZED(5) "\r\nhello")},
	{.name = "header-lf",
		.first = T("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello")},
	{.name = "header-no-colon", .first = T(OK "evil\r\n" SIZED(5) "\r\nhello")},
	{.name = "header-no-name", .first = T(OK ": evil\r\n" SIZED(5) "\r\nhello")},
	{.name = "header-noise",
		.first = T(
			"HTTP/1.1 200 \x1b[2J\xff\xfe\r\nContent-Type: "
			"\x1b]0;\x07\xff\r\n"
			"Retry-After: 99999999999999999999\r\n" SIZED(5) "\r\nhello")},
	{.name = "headers-twice",
		.first = T(OK "Content-Type: a/b\r\nContent-Type: c/d\r\n" SIZED(5)
				SIZED(5) "Connection: keep-alive\r\nConnection: "
					 "close\r\n\r\nhello")},
	{.name = "attacks",
		.first = T(OK
			"Strict-Transport-Security: max-age=99999999\r\n"
			"Alt-Svc: h2=\"evil.test:443\"; ma=99999999\r\n"
			"Set-Cookie: a=b; Domain=127.0.0.1\r\n" SIZED(5) "\r\nhello")},
	{.name = "upgrade",
		.first = T("HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\n"
			   "Connection: Upgrade\r\n\r\n\x81\x05hello"),
		.then = THEN_FIN},
	{.name = "100-then-nothing",
		.first = T("HTTP/1.1 100 Continue\r\n\r\n"),
		.then = THEN_FIN},
	{.name = "proxy-login",
		.first = T("HTTP/1.1 407 Proxy Authentication Required\r\n"
			   "Proxy-Authenticate: Basic\r\n" SIZED(0) "\r\n")},
	{.name = "login",
		.first = T("HTTP/1.1 401 Unauthorized\r\n"
			   "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
			   "WWW-Authenticate: Digest realm=\"x\", nonce=\"\r\n" SIZED(
				   0) "\r\n")},

	/* ends */
	{.name = "reset", .then = THEN_RESET},
	{.name = "reset-in-head", .first = T(OK "X: y\r\n"), .then = THEN_RESET},
	{.name = "reset-in-body",
		.first = T(OK SIZED(100) "\r\nhello"),
		.then = THEN_RESET},
	{.name = "reset-in-chunk",
		.first = T(OK CHUNKED "\r\n10\r\nhello"),
		.then = THEN_RESET},
	{.name = "reset-after", .first = T(FIVE), .then = THEN_RESET},
	{.name = "fin-after", .first = T(FIVE), .then = THEN_FIN},
	{.name = "hang-after", .first = T(FIVE), .then = THEN_HANG},

	/* answers that nobody asked for */
	{.name = "twice", .first = T(FIVE OK SIZED(6) "\r\npoison")},
	{.name = "twice-later",
		.first = T(FIVE),
		.again = T(OK SIZED(6) "\r\npoison"),
		.again_ct = 1,
		.every_ms = 5},
	{.name = "408-later",
		.first = T(FIVE),
		.again = T("HTTP/1.1 408 Request Timeout\r\n" SIZED(0) "\r\n"),
		.again_ct = 1,
		.every_ms = 5},

	/* redirects */
	{.name = "to-itself", .first = T(FOUND("/hostile/to-itself"))},
	{.name = "to-more", .first = T(FOUND("to-more/x"))},
	{.name = "to-file", .first = T(FOUND("file:///etc/passwd"))},
	{.name = "to-gopher", .first = T(FOUND("gopher://127.0.0.1:1/_x"))},
	{.name = "to-ftp", .first = T(FOUND("ftp://127.0.0.1:1/"))},
	{.name = "to-dict", .first = T(FOUND("dict://127.0.0.1:1/x"))},
	{.name = "to-data", .first = T(FOUND("data:text/plain,evil"))},
	{.name = "to-nothing", .first = T(FOUND("http://"))},
	{.name = "to-bad-port", .first = T(FOUND("http://127.0.0.1:99999/"))},
	{.name = "to-refusal", .first = T(FOUND("http://127.0.0.1:1/"))},
	{.name = "to-nowhere", .first = T(FOUND(""))},
	{.name = "to-split",
		.first = T(FOUND("/hostile/reset-after%0d%0aX:%20evil\r\nX: y"))},

	/* to TLS clients */
	{.name = "tls-silence", .then = THEN_HANG},
	{.name = "tls-fin", .then = THEN_FIN},
	{.name = "tls-reset", .then = THEN_RESET},
	{.name = "tls-plain", .first = T(FIVE), .then = THEN_FIN},
	{.name = "tls-noise",
		.first = T("\x16\x03\x03\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff"),
		.then = THEN_FIN},
	{.name = "tls-alert",
		.first = T("\x15\x03\x03\x00\x02\x02\x28"),
		.then = THEN_FIN},
	{.name = "tls-warnings",
		.again = T("\x15\x03\x03\x00\x02\x01\x5a"),
		.again_ct = FOR_EVER},
	{.name = "tls-old",
		.first = T("\x16\x03\x00\x00\x04\x02\x00\x00\x00"),
		.then = THEN_FIN},
	{.name = "tls-huge",
		.first = T("\x16\x03\x03\xff\xff"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "tls-endless",
		.first = T("\x16\x03\x03\x40\x00\x0b\xff\xff\xff"),
		.again = T(X1000),
		.again_ct = FOR_EVER},
	{.name = "tls-cut",
		.first = T("\x16\x03\x03\x00\x7a\x02\x00"),
		.then = THEN_FIN},
	{.name = "tls-drip",
		.first = T("\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"),
		.again = T("x"),
		.again_ct = FOR_EVER,
		.every_ms = 50},
	{0},
};
