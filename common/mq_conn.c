/* mq_conn.c: opening, losing and closing an AMQP connection. */
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/mq_internal.h"

#define GONE_MS 30000 /* TCP gives up on bytes that nobody has acknowledged for so long */
#define BYE_MS 1000   /* longest polite close */

static struct timeval timeval_ms(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

void mq_set_error(struct mq *m, int code, struct slice text)
{
    m->error_code = code;
    if (code != 0) {
        (void)snprintf(m->error, sizeof(m->error), "%d %.*s", code, SLICE_ARG(text));
    } else {
        (void)snprintf(m->error, sizeof(m->error), "%.*s", SLICE_ARG(text));
    }
}

int mq_lose(struct mq *m, int code, const char *format, ...)
{
    if (!m->is_lost) {
        m->is_lost = true;
        m->error_code = code;
        va_list args;
        va_start(args, format);
        (void)vsnprintf(m->error, sizeof(m->error), format, args);
        va_end(args);
        if (atomic_load(&m->is_aborted)) {
            mq_set_error(m, 0, SLICE_LIT("aborted"));
        }
        /* The library may have closed its own descriptor: the broker learns of it through ours. */
        (void)shutdown(m->fd, SHUT_RDWR);
    }
    return MQ_LOST;
}

/* The library forgets to free what it has when it gets no more. */
static const char *status_text(int status)
{
    if (status == AMQP_STATUS_NO_MEMORY) {
        mem_exhausted();
    }
    return amqp_error_string2(status);
}

int mq_lose_status(struct mq *m, int status)
{
    return mq_lose(m, 0, "%s", status_text(status));
}

int mq_lose_closed(struct mq *m, const amqp_connection_close_t *close)
{
    amqp_connection_close_ok_t ok = {0};

    (void)amqp_send_method(m->amqp, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    return mq_lose(m, close->reply_code, "%d %.*s", close->reply_code,
                   SLICE_ARG(mq_slice(close->reply_text)));
}

void mq_reply_text(amqp_rpc_reply_t reply, char *text, size_t size)
{
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        (void)snprintf(text, size, "%s", status_text(reply.library_error));
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = reply.reply.decoded;
        (void)snprintf(text, size, "%d %.*s", close->reply_code,
                       SLICE_ARG(mq_slice(close->reply_text)));
    } else {
        (void)snprintf(text, size, "unexpected answer");
    }
}

bool mq_enter(struct mq *m)
{
    if (atomic_load(&m->is_aborted)) {
        (void)mq_lose(m, 0, "aborted");
    }
    atomic_store(&m->progress_ms, clock_mono_ms());
    return !m->is_lost;
}

void mq_release(struct mq *m, uint16_t channel)
{
    const struct mq_channel *c = mq_channel_find(m, channel);
    bool is_needed = (m->has_borrowed && m->borrowed == channel) ||
                     (c != NULL && c->stage != MQ_STAGE_IDLE && c->saved == NULL);

    if (!is_needed) {
        amqp_maybe_release_buffers_on_channel(m->amqp, channel);
    }
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
    amqp_table_entry_t e = {.key = mq_bytes_of(key)};

    e.value.kind = AMQP_FIELD_KIND_UTF8;
    e.value.value.bytes = mq_bytes_of(text);
    return e;
}

static amqp_table_entry_t true_entry(const char *key)
{
    amqp_table_entry_t e = {.key = mq_bytes_of(key)};

    e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    e.value.value.boolean = 1;
    return e;
}

/* The broker sends connection.blocked and basic.cancel only to those who say that they understand
 * them. */
static amqp_rpc_reply_t login(struct mq *m, const struct amqp_connection_info *info,
                              const char *name)
{
    amqp_table_entry_t able[] = {
        true_entry("authentication_failure_close"), true_entry("basic.nack"),
        true_entry("connection.blocked"),           true_entry("consumer_cancel_notify"),
        true_entry("publisher_confirms"),
    };
    amqp_table_entry_t entries[] = {
        text_entry("product", "warren"),      text_entry("version", WARREN_VERSION),
        text_entry("information", ""),        text_entry("connection_name", name),
        {.key = mq_bytes_of("capabilities")},
    };
    amqp_field_value_t *capabilities = &entries[ARRAY_LEN(entries) - 1].value;

    capabilities->kind = AMQP_FIELD_KIND_TABLE;
    capabilities->value.table = (amqp_table_t){ARRAY_LEN(able), able};
    amqp_table_t properties = {ARRAY_LEN(entries), entries};
    return amqp_login_with_properties(m->amqp, info->vhost, MQ_CHANNEL_MAX, MQ_FRAME_MAX,
                                      MQ_HEARTBEAT_S, &properties, AMQP_SASL_METHOD_PLAIN,
                                      info->user, info->password);
}

static amqp_socket_t *new_socket(struct mq *m, bool has_tls, const char *ca_file)
{
    if (!has_tls) {
        return amqp_tcp_socket_new(m->amqp);
    }
    amqp_socket_t *s = amqp_ssl_socket_new(m->amqp);
    if (s == NULL) {
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(s, 1);
    amqp_ssl_socket_set_verify_hostname(s, 1);
    int status = amqp_ssl_socket_set_ssl_versions(s, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    if (status == AMQP_STATUS_OK) {
        status = amqp_ssl_socket_set_cacert(s, ca_file);
    }
    return status == AMQP_STATUS_OK ? s : NULL;
}

/* The library sets TCP_NODELAY, SO_KEEPALIVE and close-on-exec. */
static bool connect_socket(struct mq *m, const struct amqp_connection_info *info,
                           const char *ca_file, char *error, size_t error_size)
{
    amqp_socket_t *s = new_socket(m, info->ssl, ca_file);
    if (s == NULL) {
        (void)snprintf(error, error_size, "no socket%s%s",
                       info->ssl ? ": are there CA certificates in " : "",
                       info->ssl ? ca_file : "");
        return false;
    }
    struct timeval wait = timeval_ms(MQ_CONNECT_MS);
    int status = amqp_socket_open_noblock(s, info->host, info->port, &wait);
    if (status != AMQP_STATUS_OK) {
        /* The library loses the reason of a refused connect on the way. */
        (void)snprintf(error, error_size, "%s:%d: %s", info->host, info->port,
                       status == AMQP_STATUS_SOCKET_ERROR ? "cannot connect" : status_text(status));
        return false;
    }
    int gone_ms = GONE_MS;
    m->fd = fcntl(amqp_get_sockfd(m->amqp), F_DUPFD_CLOEXEC, 0);
    if (m->fd < 0 ||
        setsockopt(m->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms)) != 0) {
        (void)snprintf(error, error_size, "%s:%d: %s", info->host, info->port, strerror(errno));
        return false;
    }
    return true;
}

static struct mq *mq_new(void)
{
    struct mq *m = mem_new(struct mq);

    m->amqp = amqp_new_connection();
    if (m->amqp == NULL) {
        mem_exhausted();
    }
    m->fd = -1;
    m->saved_last = &m->saved;
    atomic_init(&m->is_aborted, false);
    atomic_init(&m->progress_ms, clock_mono_ms());
    struct timeval handshake = timeval_ms(MQ_CONNECT_MS), rpc = timeval_ms(MQ_RPC_MS);
    int status = amqp_set_handshake_timeout(m->amqp, &handshake);
    assert(status == AMQP_STATUS_OK);
    status = amqp_set_rpc_timeout(m->amqp, &rpc);
    assert(status == AMQP_STATUS_OK);
    return m;
}

static void mq_free(struct mq *m)
{
    while (m->saved != NULL) {
        struct mq_saved *next = m->saved->next;
        mem_free(m->saved);
        m->saved = next;
    }
    mem_free(m->current);
    for (size_t i = 0; i < m->channel_count; i++) {
        if (m->channels[i] != NULL) {
            mem_free(m->channels[i]->saved);
            mem_free(m->channels[i]);
        }
    }
    mem_free(m->channels);
    (void)amqp_destroy_connection(m->amqp);
    if (m->fd >= 0) {
        (void)close(m->fd);
    }
    mem_free(m);
}

int mq_open(struct mq **out, struct mq_target *target, const char *name, char *error,
            size_t error_size)
{
    const struct amqp_connection_info *info = mq_target_next(target);
    struct mq *m = mq_new();

    if (!connect_socket(m, info, mq_target_ca_file(target), error, error_size)) {
        mq_free(m);
        return MQ_LOST;
    }
    amqp_rpc_reply_t reply = login(m, info, name);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        char text[MQ_ERROR_SIZE];
        mq_reply_text(reply, text, sizeof(text));
        (void)snprintf(error, error_size, "%s:%d: %s", info->host, info->port, text);
        mq_free(m);
        return MQ_LOST;
    }
    m->heartbeat_ms = amqp_get_heartbeat(m->amqp) * 1000;
    m->heard_ms = clock_mono_ms();
    atomic_store(&m->progress_ms, m->heard_ms);
    *out = m;
    return MQ_OK;
}

struct mq *mq_close(struct mq *m)
{
    if (m != NULL) {
        struct pollfd writable = {.fd = m->fd, .events = POLLOUT};
        /* The library would wait without end for a socket that takes nothing. */
        if (mq_is_open(m) && poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT) != 0) {
            struct timeval wait = timeval_ms(BYE_MS);
            int status = amqp_set_rpc_timeout(m->amqp, &wait);
            assert(status == AMQP_STATUS_OK);
            (void)amqp_connection_close(m->amqp, AMQP_REPLY_SUCCESS);
        }
        mq_free(m);
    }
    return NULL;
}

bool mq_is_open(const struct mq *m)
{
    return !m->is_lost && !atomic_load(&m->is_aborted);
}

const char *mq_error(const struct mq *m)
{
    return m->error;
}

int mq_error_code(const struct mq *m)
{
    return m->error_code;
}

int64_t mq_progress_ms(const struct mq *m)
{
    return atomic_load(&m->progress_ms);
}

void mq_abort(struct mq *m)
{
    atomic_store(&m->is_aborted, true);
    (void)shutdown(m->fd, SHUT_RDWR);
}
