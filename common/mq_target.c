/* mq_target.c: the brokers of a deployment, parsed from URLs. */
#include <ctype.h>
#include <stdio.h>

#include "common/mem.h"
#include "common/mq_internal.h"

#define URLS_MAX 16

struct mq_broker {
    char *text; /* owns what `info` points into */
    struct amqp_connection_info info;
};

struct mq_target {
    char *ca_file; /* owns; NULL: none given */
    atomic_uint turn;
    size_t count;
    struct mq_broker brokers[URLS_MAX];
};

/* Takes the next URL off the list, without the blanks around it; empty at the end. */
static struct slice next_url(const char **at)
{
    while (isspace((unsigned char)**at)) {
        (*at)++;
    }
    struct slice url = {*at, strcspn(*at, ",")};
    *at += url.size;
    while (url.size > 0 && isspace((unsigned char)url.at[url.size - 1])) {
        url.size--;
    }
    return url;
}

/* The URL is never part of an error: it holds a password. */
static bool add_broker(struct mq_target *t, struct slice url)
{
    struct mq_broker *b = &t->brokers[t->count];

    b->text = mem_copy_text(url.at, url.size);
    t->count++;
    if (amqp_parse_url(b->text, &b->info) != AMQP_STATUS_OK || b->info.host[0] == '\0') {
        return false;
    }
    if (b->info.vhost[0] == '\0') {
        /* "amqp://host/" names the vhost "" by the letter, and "/" to everybody who writes it. */
        b->info.vhost = (char *)(uintptr_t) "/";
    }
    return true;
}

struct mq_target *mq_target_new(const char *urls, const char *ca_file, char *error,
                                size_t error_size)
{
    struct mq_target *t = mem_new(struct mq_target);

    if (ca_file != NULL && ca_file[0] != '\0') {
        t->ca_file = mem_copy_text(ca_file, strlen(ca_file));
    }
    for (const char *at = urls;; at++) {
        struct slice url = next_url(&at);
        if (t->count == URLS_MAX) {
            (void)snprintf(error, error_size, "more than %d AMQP URLs", URLS_MAX);
            return mq_target_free(t);
        }
        if (!add_broker(t, url)) {
            (void)snprintf(error, error_size,
                           "AMQP URL %zu is not of the form amqp://user:password@host:port/vhost",
                           t->count);
            return mq_target_free(t);
        }
        if (*at == '\0') {
            return t;
        }
    }
}

struct mq_target *mq_target_free(struct mq_target *t)
{
    if (t != NULL) {
        for (size_t i = 0; i < t->count; i++) {
            mem_free(t->brokers[i].text);
        }
        mem_free(t->ca_file);
        mem_free(t);
    }
    return NULL;
}

const struct amqp_connection_info *mq_target_next(struct mq_target *t)
{
    return &t->brokers[atomic_fetch_add(&t->turn, 1) % t->count].info;
}

const char *mq_target_ca_file(const struct mq_target *t)
{
    return t->ca_file != NULL ? t->ca_file : MQ_CA_FILE;
}
