/*
 * token.c: see token.h.
 */
#include "gateway/token/token.h"

#include <getopt.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/file.h"
#include "common/log.h"
#include "gateway/conf.h"
#include "gateway/token/jwt.h"
#include "proto/limits.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

struct order {
    const char *user, *name, *config, *id, *key, *key_id; /* borrowed from argv */
    const char *roles[JWT_ROLES_MAX];
    size_t role_count;
    int64_t ttl_ms;
};

static const char help[] =
    "usage: warren-gateway token --user USER [options]\n"
    "\n"
    "Prints a token for a user, signed with [auth] hmac_key (or WARREN_AUTH_HMAC_KEY),\n"
    "or the first secret of [key \"id\"] or the JWK Set, or the private key of --key.\n"
    "\n"
    "  --user USER    who the token is for, at most 128 bytes (needed)\n"
    "  --name NAME    the name that others see; the user if not given\n"
    "  --role ROLE    a role, at most 32 bytes; can be repeated, at most 16 times\n"
    "  --ttl TIME     how long it is valid: 30s, 5m, 1h, 7d (1h)\n"
    "  --id ID        the token's jti: by it this one token can be revoked\n"
    "  --key FILE     sign with this private key (PEM): RS256, ES256, ES384, ES512, EdDSA\n"
    "  --key-id ID    the kid that tells gateways which of their keys it is\n"
    "  --config FILE  the gateway's settings\n"
    "  --help         shows this\n";

static int fail_usage(const char *why, const char *value)
{
    fprintf(stderr, "warren-gateway token: %s%s (try --help)\n", why, value);
    return EXIT_USAGE;
}

static int set_ttl(struct order *o, const char *text)
{
    static const struct conf_key key = {
        "token", "ttl", CONF_DURATION, offsetof(struct order, ttl_ms),
        "1h",    1000,  366 * DAY_MS,  "how long the token is valid",
    };
    char error[200];

    if (conf_set(&key, o, text, error, sizeof(error)) != 0) {
        fprintf(stderr, "warren-gateway token: --ttl: %s\n", error);
        return EXIT_USAGE;
    }
    return 0;
}

static int add_role(struct order *o, const char *role)
{
    if (o->role_count == ARRAY_LEN(o->roles)) {
        return fail_usage("too many roles: the limit is ", "16");
    }
    if (role[0] == '\0' || strlen(role) >= JWT_ROLE_SIZE) {
        return fail_usage("a role has 1 to 32 bytes: ", role);
    }
    o->roles[o->role_count++] = role;
    return 0;
}

/* Reads one option. 0, or an exit code. */
static int take_option(struct order *o, int option, char **argv)
{
    switch (option) {
    case 'u':
        o->user = optarg;
        return 0;
    case 'n':
        o->name = optarg;
        return 0;
    case 'r':
        return add_role(o, optarg);
    case 't':
        return set_ttl(o, optarg);
    case 'i':
        o->id = optarg;
        return 0;
    case 'k':
        o->key = optarg;
        return 0;
    case 'K':
        o->key_id = optarg;
        return keys_id_is_valid(slice_of(optarg)) ? 0
                                                  : fail_usage("a key's id is 1 to 64 of "
                                                               "[A-Za-z0-9._-]: ",
                                                               optarg);
    case 'c':
        o->config = optarg;
        return 0;
    case ':':
        return fail_usage("a value is missing behind ", argv[optind - 1]);
    default:
        return fail_usage("unknown option ", argv[optind - 1]);
    }
}

/* Reads the command line. 0, or an exit code; `*shows_help` when that is all. */
static int read_order(struct order *o, int argc, char **argv, bool *shows_help)
{
    static const struct option options[] = {
        {"user", required_argument, NULL, 'u'},   {"name", required_argument, NULL, 'n'},
        {"role", required_argument, NULL, 'r'},   {"ttl", required_argument, NULL, 't'},
        {"id", required_argument, NULL, 'i'},     {"key", required_argument, NULL, 'k'},
        {"key-id", required_argument, NULL, 'K'}, {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    int option;
    int r = set_ttl(o, "1h");

    optind = 0; /* this is the second look at the arguments */
    while (r == 0 && (option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            *shows_help = true;
            return 0;
        }
        r = take_option(o, option, argv);
    }
    if (r != 0) {
        return r;
    }
    if (optind < argc) {
        return fail_usage("unexpected argument ", argv[optind]);
    }
    if (o->user == NULL || o->user[0] == '\0' || strlen(o->user) > USER_MAX) {
        return fail_usage("--user USER is needed, 1 to 128 bytes", "");
    }
    return 0;
}

/* The private key of --key. NULL after one line. */
static struct key *read_key(const char *path)
{
    struct buf pem = BUF_EMPTY;
    struct key *key = NULL;
    char why[KEYS_ERROR_SIZE];
    const char *reason = why;

    if (file_read(path, KEYS_FILE_MAX, &pem, &reason) == 0) {
        reason = why;
        key = key_from_private_pem(ALGORITHM_COUNT, buf_slice(&pem), why, sizeof(why));
    }
    if (pem.size > 0) {
        explicit_bzero(pem.at, pem.size);
    }
    buf_deinit(&pem);
    if (key == NULL) {
        fprintf(stderr, "warren-gateway token: --key: file %s: %s\n", log_quote(path, strlen(path)),
                reason);
    }
    return key;
}

/* Mints and prints. 0 or an exit code. */
static int print_token(const struct gateway_conf *conf, const struct order *o,
                       const struct key *key, const char *key_id)
{
    const struct jwt_order order = {
        .user = o->user,
        .name = o->name != NULL ? o->name : "",
        .roles = o->roles,
        .role_count = o->role_count,
        .audience = conf->audience,
        .issuer = conf->issuer,
        .id = o->id != NULL ? o->id : "",
        .ttl_s = o->ttl_ms / 1000,
    };
    struct buf token = BUF_EMPTY;
    int r = 0;

    if (jwt_mint(key, key_id, &order, clock_wall_ms() / 1000, &token) != 0) {
        fprintf(stderr, "warren-gateway token: user, name, roles and id must be UTF-8 without "
                        "control characters, name and id at most 128 bytes\n");
        r = EXIT_FAILED;
    } else if (printf("%.*s\n", (int)token.size, token.at) < 0 || fflush(stdout) != 0) {
        fprintf(stderr, "warren-gateway token: cannot write the token\n");
        r = EXIT_FAILED;
    }
    buf_deinit(&token);
    return r;
}

/* With the key of --key, or the first one of the settings that can sign. 0 or an exit code. */
static int make_token(const struct gateway_conf *conf, const struct order *o)
{
    const char *key_id = "";

    if (o->key != NULL) {
        struct key *own = read_key(o->key);
        int r = own != NULL ? print_token(conf, o, own, o->key_id != NULL ? o->key_id : "")
                            : EXIT_FAILED;
        key_free(own);
        return r;
    }
    const struct key *key = keys_signer(conf->keys, &key_id);
    if (key == NULL) {
        fprintf(stderr, "warren-gateway token: no key to sign with: set [auth] hmac_key or "
                        "WARREN_AUTH_HMAC_KEY (32 bytes or more), or give a private key with "
                        "--key\n");
        return EXIT_FAILED;
    }
    return print_token(conf, o, key, key_id);
}

int token_main(int argc, char **argv)
{
    struct order order = {0};
    struct gateway_conf conf = {0};
    bool shows_help = false;

    int r = read_order(&order, argc, argv, &shows_help);
    if (r != 0) {
        return r;
    }
    if (shows_help) {
        return fputs(help, stdout) < 0 ? EXIT_FAILED : 0;
    }
    if (gateway_conf_load(&conf, order.config) != 0) {
        return EXIT_FAILED; /* it has said why */
    }
    r = make_token(&conf, &order);
    gateway_conf_free(&conf);
    return r;
}
