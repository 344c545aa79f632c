/*
 * page.h: the answers of the demo: its files, and tokens for whoever asks. Pure.
 *
 * Only for [gateway] demo = yes: a demo lets anybody be anyone.
 */
#ifndef WARREN_GATEWAY_EDGE_PAGE_H
#define WARREN_GATEWAY_EDGE_PAGE_H

#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"
#include "gateway/conf.h"
#include "gateway/edge/demo.h"

#define PAGE_NAME_MAX 64            /* bytes of a visitor's name */
#define PAGE_TOKEN_S (24 * 60 * 60) /* seconds that a visitor's token lives */

/* Appends the answer for a file; returns its status. */
int page_file(struct buf *out, const struct http_head *h, const struct demo_file *file);

/* Appends {"token","user","name"} for ?name=, or a refusal; returns its status. */
int page_token(struct buf *out, const struct gateway_conf *conf, const struct http_head *h,
               int64_t now_s);

#endif
