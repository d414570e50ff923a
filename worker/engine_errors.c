/* SPDX-License-Identifier: MIT
 *
 * engine_errors - from what libcurl says to an error class, see
 * engine_errors.h.
 *
 * A CURLcode is often too coarse: 1, 27 and 56 mean several things that a user
 * has to tell apart.  There the words of the error buffer decide; they are
 * those of libcurl 7.88, and a word that is not recognised leads to the more
 * general class, never to a wrong one.
 */
#include "worker/engine_errors.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

/* Codes that newer libcurl has and the oldest supported one has no name for. */
enum { CODE_TOO_LARGE = 100, CODE_ECH_REQUIRED = 101 };

static bool says(const char *message, const char *words)
{
	return strstr(message, words) != NULL;
}

static bool is_tls(int code)
{
	switch (code) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_OBSOLETE51: /* was: the peer's certificate */
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_SHUTDOWN_FAILED:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CLIENTCERT:
	case CODE_ECH_REQUIRED:
		return true;
	default:
		return false;
	}
}

/* 1: a scheme that is not allowed, which only a redirect brings here, or an answer
 * that does not begin like HTTP/1. */
static int class_of_protocol(const struct engine_evidence *e)
{
	if (!*e->message) {
		bool redirect = e->status >= 300 && e->status < 400;
		return redirect ? PM_ESCHEME : PM_EBADRESPONSE;
	}
	return says(e->message, "HTTP/0.9") || says(e->message, "HTTP version") ||
			       says(e->message, "in HTTP response")
		       ? PM_EBADRESPONSE
		       : PM_ESCHEME;
}

/* A head; a trailer over 64 KiB; a head of HTTP/2 over 128 KiB. */
static bool is_large_head(const char *message)
{
	return says(message, "Too large response headers") ||
	       says(message, "Out of memory in chunked-encoding") ||
	       says(message, "user callback function failed");
}

/* 56: the connection broke, or what it brought is not HTTP. */
static int class_of_receive(const char *message)
{
	if (is_large_head(message)) {
		return PM_EHEADERSIZE;
	}
	if (says(message, "CONNECT")) {
		return PM_ECONNECT; /* a proxy that makes no tunnel */
	}
	if (says(message, "Recv failure") || says(message, "reset by peer") ||
		says(message, "unexpected eof") || says(message, "SSL_ERROR_SYSCALL") ||
		says(message, "Connection died")) {
		return PM_ERESET;
	}
	return says(message, "SSL_read") ? PM_ETLS : PM_EBADRESPONSE;
}

/* The connection broke while TLS was negotiated: nothing is wrong with TLS. */
static bool is_broken_handshake(const struct engine_evidence *e)
{
	return e->code == CURLE_SSL_CONNECT_ERROR &&
	       (says(e->message, "reset by peer") ||
		       says(e->message, "SSL_ERROR_SYSCALL") ||
		       says(e->message, "unexpected eof"));
}

/* 92: the server has ended the stream, which it does for reasons of its own. */
static int class_of_stream(const char *message)
{
	return says(message, "not closed cleanly") && !says(message, "PROTOCOL_ERROR")
		       ? PM_ERESET
		       : PM_EBADRESPONSE;
}

static int class_of(const struct engine_evidence *e)
{
	if (is_tls(e->code)) {
		return is_broken_handshake(e) ? PM_ERESET : PM_ETLS;
	}
	switch (e->code) {
	case CURLE_UNSUPPORTED_PROTOCOL:
		return class_of_protocol(e);
	case CURLE_URL_MALFORMAT:
		return PM_EBADURL;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
		return PM_EDNS;
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		return PM_ECONNECT;
	case CURLE_PROXY:
		return says(e->message, "resolve") ? PM_EDNS : PM_ECONNECT;
	case CURLE_GOT_NOTHING:
		/* The connection broke, in whatever way: the server has said
		 * nothing wrong.  After a 1xx it has said too little. */
		return e->has_head ? PM_ETRUNCATED : PM_ERESET;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return PM_EBADRESPONSE;
	case CURLE_HTTP2:
		/* Without words: the server has left, with a GOAWAY or without. */
		return *e->message ? PM_EBADRESPONSE : PM_ERESET;
	case CURLE_HTTP2_STREAM:
		return class_of_stream(e->message);
	case CURLE_PARTIAL_FILE:
		return PM_ETRUNCATED;
	case CURLE_OUT_OF_MEMORY:
		/* libcurl says this of one header over 100 KiB as well, and a
		 * worker that is out of memory hardly gets to read an answer. */
		return e->answered ? PM_EHEADERSIZE : PM_ENOMEM;
	case CODE_TOO_LARGE:
		return PM_EHEADERSIZE;
	case CURLE_FILESIZE_EXCEEDED:
		return PM_EBODYSIZE;
	case CURLE_OPERATION_TIMEDOUT:
		return says(e->message, "too slow") ? PM_ESTALLED : PM_ETIMEDOUT;
	case CURLE_TOO_MANY_REDIRECTS:
		return PM_EREDIRECTS;
	case CURLE_SEND_ERROR:
		return PM_ERESET;
	case CURLE_RECV_ERROR:
		return class_of_receive(e->message);
	case CURLE_BAD_FUNCTION_ARGUMENT:
		/* A trailer that is none, of all things. */
		return e->answered || says(e->message, "chunked-encoded")
			       ? PM_EBADRESPONSE
			       : PM_EINTERNAL;
	default:
		return PM_EINTERNAL;
	}
}

/* A stop of ours: libcurl only knows that a callback refused. */
static const char *stop_text(int error)
{
	switch (error) {
	case PM_EBODYSIZE:
		return "the body is larger than max_body";
	case PM_ENOMEM:
		return "no memory for the response";
	case PM_ERESET:
		return "the server closed the kept connection, and this request is "
		       "not to be sent twice";
	default:
		return "libcurl cannot go on with its connections";
	}
}

/* libcurl keeps the first words of a transfer, also when it has gone on with another
 * connection since: then they tell nothing. */
static bool are_stale(const struct engine_evidence *e)
{
	bool broken =
		says(e->message, "Send failure") || says(e->message, "Recv failure");
	return broken && e->code != CURLE_SEND_ERROR && e->code != CURLE_RECV_ERROR &&
	       !is_tls(e->code);
}

static void classify_code(const struct engine_evidence *e, struct pm_failure *failure)
{
	int error = class_of(e);
	const char *text = e->message;
	/* What libcurl says of large heads, if anything, is of its own insides. */
	if (error == PM_EHEADERSIZE) {
		text = "a response header is too large";
	} else if (!*text) {
		text = curl_easy_strerror((CURLcode)e->code);
	}
	engine_failure(failure, error, PM_DOMAIN_CURL, e->code, "%s", text);
}

void engine_classify(const struct engine_evidence *e, struct pm_failure *failure)
{
	if (e->stopped_by_reader) {
		engine_failure(failure, e->stopped, PM_DOMAIN_NONE, 0,
			"on_body ended the fetch: %s", pm_error_text(e->stopped));
		return;
	}
	if (e->stop_reason) {
		engine_failure(failure, e->stopped, PM_DOMAIN_CURL, e->code,
			"the response has %s", e->stop_reason);
		return;
	}
	if (e->stopped) {
		engine_failure(failure, e->stopped, PM_DOMAIN_CURL, e->code, "%s",
			stop_text(e->stopped));
		return;
	}
	if (e->code == CURLE_COULDNT_CONNECT && e->socket_errno) {
		engine_failure(failure, PM_ECONNECT, PM_DOMAIN_CURL, e->code,
			"cannot make a socket: %s", strerror(e->socket_errno));
		return;
	}
	struct engine_evidence fresh = *e;
	fresh.message = are_stale(e) ? "" : e->message;
	classify_code(&fresh, failure);
}

int engine_failure(struct pm_failure *failure, int error, int domain, int code,
	const char *fmt, ...)
{
	va_list args;
	*failure = (struct pm_failure){.error = error, .domain = domain, .code = code};
	va_start(args, fmt);
	vsnprintf(failure->message, sizeof(failure->message), fmt, args);
	va_end(args);
	return error;
}
