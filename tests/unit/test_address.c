/* SPDX-License-Identifier: MIT
 *
 * Addresses: their texts, and which are private.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/address.h"

TestSuite(address, .timeout = 10);

static struct address parsed(const char *text)
{
	struct address a = {0};
	cr_assert(address_parse(&a, text, strlen(text)), "%s", text);
	return a;
}

Test(address, private_ranges_from_their_first_to_their_last, .timeout = 10)
{
	static const char *const in[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0",
		"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0",
		"127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1",
		"192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
		"198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0",
		"239.255.255.255", "240.0.0.0", "255.255.255.255", "::", "::1",
		"::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
		"::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:1ff:ffff::1", "2001:db8::1",
		"2002:7f00:1::1", "2002:c0a8:101::", "3fff::1", "3fff:fff::1",
		"4000::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1",
		"fec0::1", "ff02::1", "ffff::1"};
	static const char *const out[] = {"1.0.0.0", "1.1.1.1", "9.255.255.255",
		"11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
		"172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
		"223.255.255.255", "::ffff:1.1.1.1", "64:ff9b::8.8.8.8", "2001:200::1",
		"2001:db7:ffff::1", "2001:db9::1", "2002:101:101::1", "2003::1",
		"2606:4700::1111", "3ffe::1"};
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct address a = parsed(in[i]);
		cr_assert(address_is_private(&a), "%s", in[i]);
	}
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		struct address a = parsed(out[i]);
		cr_assert(!address_is_private(&a), "%s", out[i]);
	}
}

Test(address, only_the_usual_spelling_is_an_address, .timeout = 10)
{
	static const char *const bad[] = {"", "[]", "127.1", "0x7f.0.0.1", "2130706433",
		"127.0.0.1 ", " 127.0.0.1", "127.0.0.256", "127.0.0.1.", "1.2.3.4.5",
		"[127.0.0.1]", "[::1", "::1]", "fe80::1%lo", "host", "::ffff:1.2.3",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	struct address a = {.family = 99};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert(!address_parse(&a, bad[i], strlen(bad[i])), "%s", bad[i]);
	}
	cr_assert(!address_parse(&a, "1.2.3.4\0x", 9));
	cr_assert_eq(a.family, 99);
	cr_assert(address_parse(&a, "1.2.3.45", 7));
	cr_assert_eq(a.bytes[3], 4);
}

Test(address, text_and_socket_address_there_and_back, .timeout = 10)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct address a = parsed(texts[i]), back;
		struct sockaddr_storage s;
		char text[ADDRESS_TEXT_MAX];
		socklen_t len = address_to_sockaddr(&a, 4711, (struct sockaddr *)&s);
		cr_assert_eq(len,
			i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		cr_assert_eq(((struct sockaddr_in *)&s)->sin_port, htons(4711));
		cr_assert(address_of_sockaddr(&back, (struct sockaddr *)&s));
		cr_assert(address_equal(&a, &back));
		cr_assert_str_eq(address_text(&back, text), texts[i]);
	}
	struct sockaddr other = {.sa_family = AF_UNIX};
	struct address a;
	cr_assert(!address_of_sockaddr(&a, &other));
	struct address four = parsed("1.2.3.4"), five = parsed("1.2.3.5");
	struct address six = parsed("102:304::");
	cr_assert(!address_equal(&four, &five));
	cr_assert(!address_equal(&four, &six));
}

Test(address, spellings_of_the_c_library, .timeout = 10)
{
	static const char *const good[] = {"127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1",
		"2130706433", "0x7f000001", "017700000001"};
	static const char *const bad[] = {
		"", "127.1 x", "127.0.0.1 ", "256.1", "0x", "h", "1.2.3.4.5", "08.1"};
	struct address a, home = parsed("127.0.0.1");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert(address_parse_any(&a, good[i]), "%s", good[i]);
		cr_assert(address_equal(&a, &home), "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert(!address_parse_any(&a, bad[i]), "%s", bad[i]);
	}
	cr_assert(address_parse_any(&a, "::1"));
}
