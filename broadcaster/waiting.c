/* waiting.c: mail that waits until the log was looked into. */
#include "broadcaster/waiting.h"

#include "common/mem.h"

void waiting_init(struct waiting *w)
{
    *w = (struct waiting){.first = NULL};
    w->last = &w->first;
}

void waiting_deinit(struct waiting *w)
{
    struct waiting_mail *mail = waiting_take(w);

    while (mail != NULL) {
        struct waiting_mail *next = mail->next;
        waiting_free(mail);
        mail = next;
    }
}

bool message_is_of_link(const struct message *m)
{
    return m->type == MESSAGE_ATTACH || m->type == MESSAGE_JOIN || m->type == MESSAGE_LEAVE ||
           m->type == MESSAGE_ALIVE;
}

bool waiting_has_link(const struct waiting *w, struct slice gateway)
{
    for (const struct waiting_mail *mail = w->first; mail != NULL; mail = mail->next) {
        if (message_is_of_link(&mail->m) && slice_equal(mail->m.gateway, gateway)) {
            return true;
        }
    }
    return false;
}

bool waiting_add(struct waiting *w, const struct message *m, int64_t until_ms)
{
    if (w->count == WAITING_MAX || w->bytes + m->body.size > WAITING_BYTES_MAX) {
        return false;
    }
    struct waiting_mail *mail = mem_new(struct waiting_mail);
    struct slice *texts[] = {&mail->m.gateway, &mail->m.boot, &mail->m.body};
    mail->m = *m;
    mail->m.owner = mail->m.lanes = SLICE_NONE; /* gateways write neither */
    mail->until_ms = until_ms;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_add_slice(&mail->texts, *texts[i]);
    }
    const char *at = mail->texts.at;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        texts[i]->at = at;
        at += texts[i]->size;
    }
    w->count++;
    w->bytes += m->body.size;
    *w->last = mail;
    w->last = &mail->next;
    return true;
}

struct waiting_mail *waiting_take(struct waiting *w)
{
    struct waiting_mail *first = w->first;

    waiting_init(w);
    return first;
}

void waiting_free(struct waiting_mail *mail)
{
    buf_deinit(&mail->texts);
    mem_free(mail);
}

bool waiting_is_late(const struct waiting_mail *mail, int64_t now_ms)
{
    return mail->until_ms != 0 && now_ms >= mail->until_ms;
}
