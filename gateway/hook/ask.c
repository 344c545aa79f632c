/*
 * ask.c: see ask.h.
 *
 * libcurl's multi interface, driven by libev: libcurl says which sockets it wants to be told of
 * and when it wants to be called, and is called for nothing else.
 */
#include "gateway/hook/ask.h"

#include <curl/curl.h>

#include "common/blob.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"

#define HEAD_MAX 32768 /* bytes of an answer's head */

struct asker {
    struct ev_loop *loop; /* borrowed */
    CURLM *multi;         /* owns */
    ev_timer timer;       /* libcurl's */
    struct blob *ca;      /* owns: certificates; NULL: the system's */
    int64_t timeout_ms;
    size_t answer_max;
    size_t count; /* open questions */
};

struct ask {
    struct asker *asker;        /* borrowed: outlives it */
    CURL *easy;                 /* owns */
    struct curl_slist *headers; /* owns */
    struct buf answer;
    size_t answer_max, head_size;
    bool is_too_big;
    ev_timer late;
    char error[CURL_ERROR_SIZE];
    ask_done *done;
    void *user;
};

/* A socket that libcurl wants to be told of. */
struct watch {
    ev_io io;
    struct asker *asker; /* borrowed */
};

static void ask_free(struct ask *q)
{
    ev_timer_stop(q->asker->loop, &q->late);
    if (q->easy != NULL) {
        (void)curl_multi_remove_handle(q->asker->multi, q->easy);
        curl_easy_cleanup(q->easy);
    }
    curl_slist_free_all(q->headers);
    buf_deinit(&q->answer);
    assert(q->asker->count > 0);
    q->asker->count--;
    mem_free(q);
}

static void ask_end(struct ask *q, const struct ask_answer *a)
{
    q->done(q->user, a);
    ask_free(q);
}

void ask_cancel(struct ask *q)
{
    ask_free(q);
}

static void on_late(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct ask *q = container_of(watcher, struct ask, late);

    (void)loop;
    (void)events;
    ask_end(q, &(struct ask_answer){.outcome = ASK_LATE, .why = "no answer in time"});
}

/* libcurl is through with a question. */
static void on_done(struct ask *q, CURLcode result)
{
    long status = 0;

    if (q->is_too_big || result == CURLE_FILESIZE_EXCEEDED) {
        ask_end(q, &(struct ask_answer){.outcome = ASK_TOO_BIG, .why = "the answer is too big"});
    } else if (result != CURLE_OK) {
        const char *why = q->error[0] != '\0' ? q->error : curl_easy_strerror(result);
        ask_end(q, &(struct ask_answer){.outcome = ASK_UNREACHED, .why = why});
    } else {
        (void)curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
        ask_end(q, &(struct ask_answer){.outcome = ASK_ANSWERED,
                                        .status = (int)status,
                                        .body = buf_slice(&q->answer),
                                        .why = ""});
    }
}

static void act(struct asker *a, curl_socket_t fd, int events)
{
    const CURLMsg *m;
    int ignored;

    (void)curl_multi_socket_action(a->multi, fd, events, &ignored);
    while ((m = curl_multi_info_read(a->multi, &ignored)) != NULL) {
        struct ask *q = NULL;

        if (m->msg == CURLMSG_DONE) {
            CURLcode result = m->data.result;

            (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&q);
            on_done(q, result);
        }
    }
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct watch *w = container_of(watcher, struct watch, io);

    (void)loop; /* the watch may be gone after this */
    act(w->asker, watcher->fd,
        ((events & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
            ((events & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
            ((events & EV_ERROR) != 0 ? CURL_CSELECT_ERR : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct asker *a = user;
    struct watch *w = socket_user;

    (void)easy;
    if (w != NULL) {
        ev_io_stop(a->loop, &w->io);
    }
    if (what == CURL_POLL_REMOVE) {
        mem_free(w);
        (void)curl_multi_assign(a->multi, fd, NULL);
        return 0;
    }
    if (w == NULL) {
        w = mem_new(struct watch);
        w->asker = a;
        (void)curl_multi_assign(a->multi, fd, w);
    }
    ev_io_init(&w->io, on_io, fd,
               ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
                   ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
    ev_io_start(a->loop, &w->io);
    return 0;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    act(container_of(watcher, struct asker, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *user)
{
    struct asker *a = user;

    (void)multi;
    ev_timer_stop(a->loop, &a->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&a->timer, (double)timeout_ms / 1e3, 0.);
        ev_timer_start(a->loop, &a->timer);
    }
    return 0;
}

static size_t on_body(char *at, size_t one, size_t size, void *user)
{
    struct ask *q = user;

    (void)one; /* is 1 */
    if (q->answer.size + size > q->answer_max) {
        q->is_too_big = true;
        return 0;
    }
    buf_add(&q->answer, at, size);
    return size;
}

static size_t on_head(char *at, size_t one, size_t size, void *user)
{
    struct ask *q = user;

    (void)at;
    (void)one;
    q->head_size += size;
    q->is_too_big = q->is_too_big || q->head_size > HEAD_MAX;
    return q->is_too_big ? 0 : size;
}

/* False: libcurl has no memory for it, or does not know an option. */
static bool prepare(struct ask *q, const struct ask_question *question)
{
    const struct asker *a = q->asker;
    CURL *e = q->easy;
    int bad = 0;

    bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, q);
    bad |= curl_easy_setopt(e, CURLOPT_URL, question->url);
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* or its resolver's thread is joined */
    bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (a->ca != NULL) {
        /* As a text: of a file libcurl remembers for a day what stood in it. */
        struct curl_blob ca = {a->ca->bytes, a->ca->size, CURL_BLOB_COPY};

        bad |= curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &ca);
        bad |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    }
    bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, q->error);
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, q->headers);
    bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, "warren/" WARREN_VERSION);
    bad |= curl_easy_setopt(e, CURLOPT_POST, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->body.size);
    bad |= curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, question->body.at);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, q);
    bad |= curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)q->answer_max);
    return bad == 0;
}

/* False: no memory. */
static bool add_header(struct ask *q, const char *line)
{
    struct curl_slist *longer = curl_slist_append(q->headers, line);

    q->headers = longer != NULL ? longer : q->headers;
    return longer != NULL;
}

static bool add_headers(struct ask *q, const char *const *lines)
{
    bool done = add_header(q, "Content-Type: application/json") && add_header(q, "Expect:");

    while (done && *lines != NULL) {
        done = add_header(q, *lines++);
    }
    return done;
}

struct ask *ask_post(struct asker *a, const struct ask_question *question, ask_done *done,
                     void *user)
{
    struct ask *q = mem_new(struct ask);

    q->asker = a;
    q->answer_max = a->answer_max;
    q->done = done;
    q->user = user;
    ev_timer_init(&q->late, on_late, (double)a->timeout_ms / 1e3, 0.);
    a->count++;
    q->easy = curl_easy_init();
    if (q->easy == NULL || !add_headers(q, question->headers) || !prepare(q, question) ||
        curl_multi_add_handle(a->multi, q->easy) != CURLM_OK) {
        ask_free(q);
        return NULL;
    }
    ev_timer_start(a->loop, &q->late);
    return q;
}

void asker_change(struct asker *a, const struct asker_terms *terms)
{
    blob_unref(a->ca);
    a->ca = terms->ca.size > 0 ? blob_copy(terms->ca.at, terms->ca.size) : NULL;
    a->timeout_ms = terms->timeout_ms;
    a->answer_max = terms->answer_max;
    (void)curl_multi_setopt(a->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)terms->connections);
    (void)curl_multi_setopt(a->multi, CURLMOPT_MAXCONNECTS, (long)terms->connections);
}

struct asker *asker_new(struct ev_loop *loop, const struct asker_terms *terms)
{
    struct asker *a = mem_new(struct asker);

    a->loop = loop;
    ev_init(&a->timer, on_timer);
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK || (a->multi = curl_multi_init()) == NULL) {
        log_error("libcurl cannot be used");
        mem_free(a);
        return NULL;
    }
    (void)curl_multi_setopt(a->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(a->multi, CURLMOPT_SOCKETDATA, a);
    (void)curl_multi_setopt(a->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    (void)curl_multi_setopt(a->multi, CURLMOPT_TIMERDATA, a);
    asker_change(a, terms);
    return a;
}

struct asker *asker_free(struct asker *a)
{
    if (a == NULL) {
        return NULL;
    }
    assert(a->count == 0);
    (void)curl_multi_cleanup(a->multi);
    ev_timer_stop(a->loop, &a->timer);
    blob_unref(a->ca);
    mem_free(a);
    curl_global_cleanup();
    return NULL;
}

bool ask_url_is_good(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL, *fragment = NULL;
    bool is_good = false;

    if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_USER, &user, 0);
        (void)curl_url_get(u, CURLUPART_FRAGMENT, &fragment, 0);
        is_good = (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                  host[0] != '\0' && user == NULL && fragment == NULL;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(fragment);
    curl_url_cleanup(u);
    return is_good;
}
