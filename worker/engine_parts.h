/* SPDX-License-Identifier: MIT
 *
 * engine_parts - what the files of the libcurl engine share.  Private to them.
 *
 *	engine    all of it: the free handles, and the slots for shards
 *	shard     one CURLM and its events; runs some of the transfers
 *	transfer  one easy handle, and the request and answer it works on
 *
 * Why several shards: what libcurl does for one request grows with the number
 * of connections its CURLM has (it walks them), so one CURLM of 5000 costs
 * several times what 20 of 250 cost.  Why a shard is replaced: a CURLM never
 * forgets a host whose connection it had to evict, and walks all of those at
 * the next eviction; so a shard that made SHARD_CONNECTS_MAX connections is
 * drained, and a fresh one takes its slot.
 */
#ifndef WORKER_ENGINE_PARTS_H
#define WORKER_ENGINE_PARTS_H

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/buf.h"
#include "common/list.h"
#include "worker/engine.h"
#include "worker/engine_check.h"
#include "worker/engine_errors.h"
#include "worker/engine_framing.h"
#include "worker/engine_habit.h"
#include "worker/engine_response.h"
#include "worker/engine_route.h"

enum {
	SHARD_TRANSFERS_MAX = 256, /* that one shard runs at once */
	SHARD_KEEP_MIN = 16,       /* connections kept, however few transfers run */
	SHARD_CONNECTS_MAX =
		1024,            /* made or tried by one shard before it is replaced */
	SHARDS_DRAINING_MAX = 8, /* replaced ones that still run something */
	KEEP_BYTES_MAX = 4096,   /* of a buffer that stays with an idle handle */
	BODY_RESERVE_MAX = 1 << 20, /* believed of a Content-Length in advance */
	DNS_CACHE_S = 0,            /* libcurl's own: it knows only stand-ins */
};

/* A socket, and what is waited for on it. */
struct watch {
	struct event event;
	struct shard *shard;
	curl_socket_t fd;
	struct list_node link; /* in its shard's list, or in the engine's spare one */
	short what;            /* 0: nothing */
	bool established;      /* a connection; watch_close_socket() will come */
	bool idle;             /* a kept connection that no request uses */
};

struct shard {
	struct engine *engine;
	CURLM *multi;
	struct event timer;
	struct list running;   /* of struct transfer */
	struct list watches;   /* of struct watch */
	struct list_node link; /* in the engine's list of draining shards */
	unsigned connects;     /* connections made or tried so far */
	bool draining;
	bool calling;        /* an on_body: libcurl cannot be called now */
	bool cancelled;      /* some transfer, meanwhile */
	bool address_failed; /* of some transfer */
	bool broken;         /* it cannot go on: its transfers must be failed */
};

struct engine {
	struct event_base *base;
	CURLSH *sessions; /* TLS sessions, for all shards */
	const char *ca_file;
	struct shard **slots; /* NULL where no shard was needed yet */
	unsigned slot_ct;
	unsigned shard_max;        /* transfers per shard */
	struct resolver *resolver; /* NULL: no name was looked up yet */
	CURLU *parser;
	struct habit habit;
	struct list waiting;     /* transfers whose host is looked up */
	struct list idle;        /* transfers without work; the last used is first */
	struct watch **watch_at; /* by descriptor */
	size_t watch_cap;
	struct list spare_watches;
	struct list draining;
	struct event reaper; /* frees drained shards, outside their callbacks */
};

/* One more option of transfer `t`, unless an earlier one failed: needs a CURLcode
 * `bad`. */
#define SET(option, value)                                                             \
	(bad = bad ? bad : curl_easy_setopt(t->easy, (option), (value)))

enum transfer_verb { VERB_GET, VERB_HEAD, VERB_BODY };

/* What the easy handle's options are now.  It is never reset: an option is set
 * when it differs from this, so that nothing leaks from one job to the next
 * and what stays the same costs nothing. */
struct transfer_options {
	enum transfer_verb verb;
	char method[REQUEST_METHOD_MAX + 1]; /* "" : that of the verb */
	struct curl_slist *headers;
	long timeout_ms, connect_timeout_ms;
	long max_redirects;
	long redirect_post; /* redirects after which a body is sent again */
	long stall_s;       /* 0: none */
	bool follow, insecure, one_shot, compressed, credentials, http2;
	bool watch_heads;
	char *ca_file;          /* NULL: the system's */
	char *cert, *key;       /* NULL: none; in `cert` */
	char *proxy;            /* NULL: none */
	char *local;            /* as libcurl has it; NULL: any */
	struct engine_jar *jar; /* while it runs */
};

/* Where in the answer's head the header callback is. */
enum head_state { HEAD_EXPECTS_STATUS, HEAD_IN_FIELDS, HEAD_DONE };

struct transfer {
	CURL *easy;
	struct engine *engine;
	struct shard *shard;   /* while it runs */
	struct list_node link; /* in running of its shard, in waiting, or in idle */
	engine_done_fn *done;
	void *ctx;
	uint32_t host_hash;
	struct transfer_options now;
	struct transfer_route route;

	/* request */
	void *header_memory;        /* of the caller's headers */
	struct curl_slist extra[2]; /* our own */
	bool keep_headers;
	bool discard_body;
	bool no_resend;
	size_t max_body;
	pm_body_fn *on_body; /* NULL: the body is kept, or discarded */
	void *on_body_ctx;

	/* answer */
	struct buf body;
	size_t body_len; /* also when it is not kept */
	struct buf head; /* name NUL value NUL ... of the last response */
	size_t head_ct;
	enum head_state head_state;
	size_t heads_bytes;      /* of all responses so far, trailers too */
	unsigned head_folds;     /* lines of it that go on with the one before */
	bool head_open;          /* the last header may go on in the next line */
	struct framing framing;  /* of the last response */
	int stopped;             /* pm_error for which a callback stopped it */
	const char *stop_reason; /* and why, or NULL; static */
	bool stopped_by_reader;  /* that callback was on_body */
	bool cancelled;          /* inside on_body: to be dropped */
	int socket_errno;
	bool address_failed; /* a connection was refused, perhaps not the last one */
	bool unanswered;     /* a request was sent, and nothing came back yet */
	bool on_kept;        /* the last request went out on a kept connection */
	long connect_ct;     /* connections made until then */
	bool has_old_words;  /* error_text is of a connection before, engine_twice.c */
	bool redone;         /* the engine has begun anew once, for that or the like */
	bool redoing;        /* and has not sent it since */
	unsigned resend_ct;  /* requests sent again, for want of an answer */
	pm_exchange_fn *on_exchange; /* NULL: nobody asks for the heads */
	void *on_exchange_ctx;
	struct buf sent_head, got_head; /* as they are on the wire */
	bool heads_lost;                /* no memory for one */
	struct response *reserve;       /* to report with when memory is gone */
	char error_text[CURL_ERROR_SIZE];
};

/* engine_request.c: make a handle's options those of a request.  PM_ENOMEM
 * leaves a handle that can only be freed. */
int transfer_configure(struct transfer *t, const struct pm_request *request,
	const struct request_facts *facts, bool one_shot) PM_MUSTCHECK;
void transfer_release_request(struct transfer *t);

/* engine_options.c: once for a handle; for each request; after it. */
int transfer_setup_once(struct transfer *t) PM_MUSTCHECK;
CURLcode transfer_set_options(
	struct transfer *t, const struct pm_request *request, bool one_shot);
void transfer_release_options(struct transfer *t);

/* engine_jar.c: what handles share, TLS sessions; give a handle the cookies, and take
 * them away; `share` is what it had before. */
CURLSH *share_new(void);
CURLcode jar_attach(struct engine_jar *jar, CURL *easy);
void jar_detach(CURL *easy, CURLSH *share);

/* engine_headers.c: libcurl's callback for heads; forget what came before. */
size_t transfer_on_header(char *bytes, size_t size, size_t ct, void *ctx);
void transfer_begin_head(struct transfer *t);
/* Has a head begun, and not ended? */
bool transfer_head_is_cut(const struct transfer *t);

/* engine_receive.c: libcurl's callback for bodies, and the response from what came.
 * transfer_stop() is what a callback returns to end the transfer; `why` is static or
 * NULL. */
size_t transfer_on_body(char *bytes, size_t size, size_t ct, void *ctx);
size_t transfer_stop(struct transfer *t, int error, const char *why);
void transfer_begin_answer(struct transfer *t, const struct pm_request *request);
void transfer_build_result(
	struct transfer *t, CURLcode code, struct engine_result *result);
void transfer_release_answer(struct transfer *t);

/* engine_heads.c: the heads of requests and responses, for on_exchange.  A line of
 * a response's head: 0 or a pm_error. */
CURLcode heads_set_options(struct transfer *t);
void heads_begin(struct transfer *t, const struct pm_request *request);
int heads_take_line(struct transfer *t, const char *bytes, size_t len);
void heads_release(struct transfer *t);
void heads_fini(struct transfer *t);

/* engine_twice.c: hinder libcurl from sending twice what may do harm; must the engine
 * begin anew what has ended with this code?  At the start of a request, and of that
 * second attempt, forget what was. */
CURLcode twice_set_options(struct transfer *t);
void twice_begin(struct transfer *t, const struct pm_request *request);
void twice_forget(struct transfer *t);
bool twice_is_wanted(struct transfer *t, CURLcode code);

/* engine_curl.c: called by a shard when a transfer has ended, with its callback;
 * or when it was cancelled, without one. */
void transfer_finish(struct transfer *t, CURLcode code);
void transfer_leave(struct transfer *t, bool failed);

/* engine_watch.c: libcurl's callbacks for sockets. */
curl_socket_t watch_open_socket(
	void *ctx, curlsocktype purpose, struct curl_sockaddr *address);
int watch_close_socket(void *ctx, curl_socket_t fd);
int watch_wanted(CURL *easy, curl_socket_t fd, int wanted, void *ctx, void *socket_ctx);
void watch_free(struct watch *w);

/* engine_shard.c */
struct shard *shard_open(struct engine *e);
void shard_close(struct shard *s); /* nothing may be running */
int shard_add(struct shard *s, struct transfer *t, struct pm_failure *failure);
void shard_remove(struct transfer *t);
void shard_drain(struct shard *s);
void shard_drive(struct shard *s, curl_socket_t fd, int events);
void shard_break(struct shard *s);

#endif
