/*
 * page.c: see page.h.
 */
#include "gateway/edge/page.h"

#include "gateway/edge/route.h"
#include "gateway/token/jwt.h"
#include "proto/json.h"

static const char file_lines[] =
    "Content-Security-Policy: default-src 'self'; connect-src 'self' ws: wss:\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Cache-Control: no-cache\r\n";

static const char token_lines[] = "X-Content-Type-Options: nosniff\r\n"
                                  "Cross-Origin-Resource-Policy: same-origin\r\n"
                                  "Cache-Control: no-store\r\n";

static int refuse(struct buf *out, int status, const char *extra, const char *why)
{
    http_refuse(out, status, extra, why);
    return status;
}

int page_file(struct buf *out, const struct http_head *h, const struct demo_file *file)
{
    bool is_head = slice_equal(h->method, SLICE_LIT("HEAD"));

    if (!is_head && !slice_equal(h->method, SLICE_LIT("GET"))) {
        return refuse(out, 405, "Allow: GET, HEAD\r\n", "use GET");
    }
    http_answer(out, 200, file->content_type, file_lines,
                (struct slice){(const char *)file->bytes, file->size});
    if (is_head) {
        out->size -= file->size; /* the body is the end of the answer */
    }
    return 200;
}

/* The user of a name: lower case, and '-' for each character that is none of [a-z0-9._-]. */
static void add_user(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c + ('a' - 'A'));
        }
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_') {
            buf_add_char(out, c);
        } else if (((unsigned char)c & 0xc0) != 0x80) { /* once for all bytes of a character */
            buf_add_char(out, '-');
        }
    }
}

/* Appends the answer's JSON. 0, or -1: no token can be signed. */
static int add_token(struct buf *json, const struct gateway_conf *conf, struct slice name,
                     int64_t now_s)
{
    const char *key_id = "";
    const struct key *key = keys_signer(conf->keys, &key_id);
    struct buf user = BUF_EMPTY;
    struct buf name_text = BUF_EMPTY;

    add_user(&user, name);
    buf_add_char(&user, '\0');
    buf_add_slice(&name_text, name);
    buf_add_char(&name_text, '\0');

    buf_add_lit(json, "{\"token\":\"");
    const struct jwt_order order = {
        .user = user.at,
        .name = name_text.at,
        .audience = conf->audience,
        .issuer = conf->issuer,
        .id = "",
        .ttl_s = PAGE_TOKEN_S,
    };
    int r = key != NULL ? jwt_mint(key, key_id, &order, now_s, json) : -1;
    buf_addf(json, "\",\"user\":\"%s\",\"name\":\"", user.at);
    json_escape(json, name);
    buf_add_lit(json, "\"}");
    buf_deinit(&user);
    buf_deinit(&name_text);
    return r;
}

static int answer_name(struct buf *out, const struct gateway_conf *conf, struct slice name,
                       int64_t now_s)
{
    struct buf json = BUF_EMPTY;
    int status = 200;

    if (name.size == 0 || name.size > PAGE_NAME_MAX || !text_is_clean(name)) {
        return refuse(out, 400, "", "a name of 1 to 64 bytes is needed");
    }
    if (add_token(&json, conf, name, now_s) != 0) {
        status = refuse(out, 503, "", "no key to sign tokens with");
    } else {
        http_answer(out, 200, "application/json", token_lines, buf_slice(&json));
    }
    buf_deinit(&json);
    return status;
}

int page_token(struct buf *out, const struct gateway_conf *conf, const struct http_head *h,
               int64_t now_s)
{
    struct buf name = BUF_EMPTY;

    if (!slice_equal(h->method, SLICE_LIT("GET"))) {
        return refuse(out, 405, "Allow: GET\r\n", "use GET");
    }
    int r = route_param(h->query, "name", &name);
    int status = r == 0 ? answer_name(out, conf, buf_slice(&name), now_s)
                        : refuse(out, 400, "", "a name is needed");
    buf_deinit(&name);
    return status;
}
