/*
 * upgrade.c: see upgrade.h.
 */
#include "gateway/edge/upgrade.h"

#include <openssl/evp.h>

#include "gateway/token/base64.h"

#define SHA1_SIZE 20
#define KEY_SIZE 24 /* characters: base64 of 16 bytes */

/* RFC 6455 1.3: joined to the client's key, so that only a WebSocket server answers right. */
static const char key_suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* True if the text is base64 of 16 bytes. The last digit's unused bits are the client's business.
 */
static bool key_is_legal(struct slice key)
{
    if (key.size != KEY_SIZE || memcmp(key.at + KEY_SIZE - 2, "==", 2) != 0) {
        return false;
    }
    for (size_t i = 0; i < KEY_SIZE - 2; i++) {
        if (!base64_is_digit(key.at[i])) {
            return false;
        }
    }
    return true;
}

/* The field's only value. NULL when it is absent or there are two. */
static const struct slice *find_one(const struct http_head *h, const char *name)
{
    bool repeated = false;
    const struct slice *value = http_find(h, name, &repeated);

    return repeated ? NULL : value;
}

static int refuse(int status, const char *words, const char *lines, const char **why,
                  const char **extra)
{
    *why = words;
    *extra = lines;
    return status;
}

int upgrade_check(const struct http_head *h, const char **why, const char **extra)
{
    static const char upgrade_lines[] = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    bool repeated = false;

    if (!slice_equal(h->method, SLICE_LIT("GET"))) {
        return refuse(405, "use GET", "Allow: GET\r\n", why, extra);
    }
    if (find_one(h, "Host") == NULL) {
        return refuse(400, "one Host field is needed", "", why, extra);
    }
    if (!http_has_token(h, "Upgrade", "websocket") || !http_has_token(h, "Connection", "upgrade")) {
        return refuse(426, "this is a WebSocket", upgrade_lines, why, extra);
    }
    const struct slice *version = http_find(h, "Sec-WebSocket-Version", &repeated);
    if (version == NULL || repeated) {
        return refuse(400, "one Sec-WebSocket-Version field is needed", "", why, extra);
    }
    if (!slice_equal(*version, SLICE_LIT("13"))) {
        return refuse(426, "WebSocket version 13 is spoken here",
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\n",
                      why, extra);
    }
    const struct slice *key = find_one(h, "Sec-WebSocket-Key");
    if (key == NULL || !key_is_legal(*key)) {
        return refuse(400, "bad Sec-WebSocket-Key", "", why, extra);
    }
    http_find(h, "Origin", &repeated);
    if (repeated) {
        return refuse(400, "two Origin fields", "", why, extra);
    }
    return refuse(101, "", "", why, extra);
}

static void add_accept(struct buf *out, struct slice key)
{
    unsigned char digest[SHA1_SIZE];
    unsigned size = 0;
    char text[KEY_SIZE + sizeof(key_suffix) - 1];
    assert(key.size == KEY_SIZE);

    memcpy(text, key.at, KEY_SIZE);
    memcpy(text + KEY_SIZE, key_suffix, sizeof(key_suffix) - 1);
    int done = EVP_Digest(text, sizeof(text), digest, &size, EVP_sha1(), NULL);
    assert(done == 1);
    assert(size == SHA1_SIZE);
    base64_encode(out, digest, sizeof(digest));
}

void upgrade_accept(struct buf *out, const struct http_head *h, const char *subprotocol,
                    const struct extension *extension)
{
    const struct slice *key = find_one(h, "Sec-WebSocket-Key");
    assert(key != NULL);

    buf_add_lit(out, "HTTP/1.1 101 Switching Protocols\r\n"
                     "Upgrade: websocket\r\n"
                     "Connection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: ");
    add_accept(out, *key);
    if (subprotocol[0] != '\0') {
        buf_addf(out, "\r\nSec-WebSocket-Protocol: %s", subprotocol);
    }
    if (extension->window != 0) {
        buf_add_lit(out, "\r\n");
        extension_add_answer(out, extension);
    }
    buf_add_lit(out, "\r\n\r\n");
}
