/* SPDX-License-Identifier: MIT
 *
 * report_chart - the pictures of the HTML report, as SVG: what part of the jobs ended
 * how, and how long they took, on a logarithmic axis.
 *
 * Numbers in them are ours, not strangers'.  Coordinates are whole tenths of a unit.
 */
#include <string.h>

#include "common/cli/outcome.h"
#include "master/cli/figures.h"
#include "master/cli/report_page.h"

/* ---------------------------------------------------------------------- shares */

unsigned page_colour(const struct tally *t, unsigned class)
{
	unsigned before = 0;
	for (unsigned other = OUTCOME_OK + 1; other < class; other++) {
		before += t->by_class[other] > 0;
	}
	return class == OUTCOME_OK ? 0 : 1 + before % (REPORT_COLOURS - 1);
}

/* What is there at all is seen: a thousandth at least, as far as there is room. */
enum { BAR_WIDTH = 1000 };

void page_put_bar(struct report_page *p)
{
	const struct tally *t = &p->facts->tally;
	uint64_t before = 0;
	page_put(p,
		"<svg class=\"share\" viewBox=\"0 0 %d 10\" "
		"preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Jobs by how "
		"they ended\">",
		BAR_WIDTH);
	for (unsigned class = 0; class < OUTCOME_CLASS_CT; class ++) {
		uint64_t ct = t->by_class[class];
		double from = (double)before / (double)t->done * BAR_WIDTH;
		double width = (double)ct / (double)t->done * BAR_WIDTH;
		before += ct;
		if (ct) {
			bool thin = width < 2;
			unsigned x = (unsigned)(thin ? from - 1 : from);
			page_put(p,
				"<rect class=\"c%u\" x=\"%u\" width=\"%u\" "
				"height=\"10\"/>",
				page_colour(t, class), from < 1 ? 0 : x,
				thin ? 2 : (unsigned)(width + 1));
		}
	}
	page_put(p, "</svg>\n");
}

/* ------------------------------------------------------------------- the axis */

enum {
	WIDTH = 440,
	LEFT = 8,
	RIGHT = WIDTH - 8,
	TOP = 44, /* the marks' labels are above */
	BOTTOM = 150,
	HEIGHT = 190,
	COLUMNS = 53,
	LOG_BITS = 16,
	MARKS = 3,
	MARK_WIDTH = 76, /* of a label */
	LABEL_HEIGHT = 13,
};

/* Of a number of microseconds, 1 at least. */
static double log2_of(uint64_t us)
{
	unsigned whole = 63u - (unsigned)__builtin_clzll(us);
	double rest = (double)us / (double)(UINT64_C(1) << whole), part = 0, bit = 0.5;
	for (int i = 0; i < LOG_BITS; i++) {
		rest *= rest;
		if (rest >= 2) {
			rest /= 2;
			part += bit;
		}
		bit /= 2;
	}
	return whole + part;
}

struct axis {
	uint64_t from, to; /* 1, 2 or 5 times a power of ten */
	double log_from, log_to;
};

/* 1, 2, 5, 10, 20 ... */
static uint64_t next_tick(uint64_t us)
{
	uint64_t ten = 1;
	while (ten * 10 <= us) {
		ten *= 10;
	}
	return us == 2 * ten ? 5 * ten : us == ten ? 2 * ten : 10 * ten;
}

/* Both ends are ticks, with the latencies between them. */
static struct axis axis_of(const struct histogram *h)
{
	struct axis a = {.from = 1};
	while (next_tick(a.from) <= histogram_min(h)) {
		a.from = next_tick(a.from);
	}
	for (a.to = next_tick(a.from); a.to < histogram_max(h);) {
		a.to = next_tick(a.to);
	}
	a.log_from = log2_of(a.from);
	a.log_to = log2_of(a.to);
	return a;
}

/* 0 to 1. */
static double place_of(const struct axis *a, uint64_t us)
{
	double place = (log2_of(us ? us : 1) - a->log_from) / (a->log_to - a->log_from);
	return place < 0 ? 0 : place > 1 ? 1 : place;
}

static unsigned x_of(const struct axis *a, uint64_t us)
{
	return (unsigned)(LEFT + place_of(a, us) * (RIGHT - LEFT) + 0.5);
}

/* "20 ms"; shorter than a figure, which would say "1.0 ms". */
static void put_tick_text(struct report_page *p, uint64_t us)
{
	if (us < 1000) {
		page_put(p, "%u us", (unsigned)us);
	} else if (us < 1000000) {
		page_put(p, "%u ms", (unsigned)(us / 1000));
	} else {
		page_put(p, "%u s", (unsigned)(us / 1000000));
	}
}

/* All of them when there is room, else the powers of ten. */
static bool is_labelled(const struct axis *a, uint64_t us)
{
	bool few = a->log_to - a->log_from < 8; /* up to 2 ** 8 times as long */
	while (us % 10 == 0) {
		us /= 10;
	}
	return few || us == 1;
}

static void put_axis(struct report_page *p, const struct axis *a)
{
	for (uint64_t us = a->from; us <= a->to; us = next_tick(us)) {
		unsigned x = x_of(a, us);
		bool labelled = is_labelled(a, us);
		page_put(p, "<line x1=\"%u\" x2=\"%u\" y1=\"%d\" y2=\"%d\"/>", x, x,
			BOTTOM, BOTTOM + (labelled ? 6 : 3));
		if (labelled) {
			const char *anchor = us == a->from ? "start"
					     : us == a->to ? "end"
							   : "middle";
			page_put(p, "<text x=\"%u\" y=\"%d\" text-anchor=\"%s\">", x,
				BOTTOM + 20, anchor);
			put_tick_text(p, us);
			page_put(p, "</text>");
		}
	}
	page_put(p, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT, RIGHT,
		BOTTOM, BOTTOM);
}

/* -------------------------------------------------------------------- columns */

static void count_columns(
	const struct histogram *h, const struct axis *a, uint64_t columns[COLUMNS])
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->buckets[i]) {
			uint64_t us = histogram_bucket_us(i);
			us = us < histogram_min(h) ? histogram_min(h) : us;
			unsigned column = (unsigned)(place_of(a, us) * COLUMNS);
			columns[column < COLUMNS ? column : COLUMNS - 1] +=
				h->buckets[i];
		}
	}
}

static uint64_t greatest(const uint64_t columns[COLUMNS])
{
	uint64_t most = 1;
	for (int i = 0; i < COLUMNS; i++) {
		most = columns[i] > most ? columns[i] : most;
	}
	return most;
}

static void put_columns(
	struct report_page *p, const uint64_t columns[COLUMNS], uint64_t most)
{
	const double step = (double)(RIGHT - LEFT) / COLUMNS;
	for (int i = 0; i < COLUMNS; i++) {
		double high = (double)columns[i] / (double)most * (BOTTOM - TOP);
		unsigned tenths = (unsigned)(high * 10);
		tenths = tenths < 10 ? 10 : tenths;
		unsigned y = BOTTOM * 10 - tenths;
		unsigned x = (unsigned)((LEFT + i * step) * 10);
		if (columns[i]) {
			page_put(p,
				"<rect class=\"bar\" x=\"%u.%u\" y=\"%u.%u\" "
				"width=\"%u.%u\" height=\"%u.%u\"/>",
				x / 10, x % 10, y / 10, y % 10,
				(unsigned)(step * 10 - 6) / 10,
				(unsigned)(step * 10 - 6) % 10, tenths / 10,
				tenths % 10);
		}
	}
	page_put(p, "\n");
}

/* ---------------------------------------------------------------------- marks */

/* Each label has a line of its own, so that near ones can be told apart. */
static void put_mark(struct report_page *p, const struct axis *a, const char *name,
	uint64_t us, int line)
{
	char time[FIGURE_BYTES];
	unsigned x = x_of(a, us);
	int y = 2 + line * LABEL_HEIGHT;
	bool right = x > WIDTH - MARK_WIDTH;
	page_put(p, "<line class=\"q\" x1=\"%u\" x2=\"%u\" y1=\"%d\" y2=\"%d\"/>", x, x,
		y, BOTTOM);
	page_put(p,
		"<text class=\"mark\" x=\"%u\" y=\"%d\" text-anchor=\"%s\">%s "
		"%s</text>\n",
		right ? x - 4 : x + 4, y + 10, right ? "end" : "start", name,
		figure_latency(time, us));
}

void page_put_histogram(struct report_page *p)
{
	static const struct {
		const char *name;
		unsigned permille;
	} marks[MARKS] = {{"p50", 500}, {"p90", 900}, {"p99", 990}};
	const struct histogram *h = &p->facts->tally.latency;
	const struct axis a = axis_of(h);
	char room[TALLY_COUNT_BYTES];
	uint64_t columns[COLUMNS] = {0};
	count_columns(h, &a, columns);
	page_put(p,
		"<svg class=\"times\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"Jobs by how long they took\">\n",
		WIDTH, HEIGHT);
	put_columns(p, columns, greatest(columns));
	put_axis(p, &a);
	for (int i = 0; i < MARKS; i++) {
		put_mark(p, &a, marks[i].name, histogram_quantile(h, marks[i].permille),
			i);
	}
	page_put(p,
		"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">time of the last "
		"attempt, logarithmic; highest: %s job%s</text>\n</svg>\n",
		WIDTH / 2, HEIGHT - 4, tally_count_text(room, greatest(columns)),
		greatest(columns) == 1 ? "" : "s");
}
