/*
 * token.c: see token.h.
 */
#include "gateway/token.h"

#include <getopt.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "gateway/conf.h"
#include "gateway/jwt.h"
#include "proto/limits.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

struct order {
    const char *user, *name, *config; /* borrowed from argv */
    const char *roles[JWT_ROLES_MAX];
    size_t role_count;
    int64_t ttl_ms;
};

static const char help[] =
    "usage: warren-gateway token --user USER [options]\n"
    "\n"
    "Prints a token for a user, signed with [auth] hmac_key (or WARREN_AUTH_HMAC_KEY).\n"
    "\n"
    "  --user USER    who the token is for, at most 128 bytes (needed)\n"
    "  --name NAME    the name that others see; the user if not given\n"
    "  --role ROLE    a role, at most 32 bytes; can be repeated, at most 16 times\n"
    "  --ttl TIME     how long it is valid: 30s, 5m, 1h, 7d (1h)\n"
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
        {"user", required_argument, NULL, 'u'},
        {"name", required_argument, NULL, 'n'},
        {"role", required_argument, NULL, 'r'},
        {"ttl", required_argument, NULL, 't'},
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
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

/* Mints and prints. 0 or an exit code. */
static int print_token(const struct gateway_conf *conf, const struct order *o)
{
    const struct jwt_key key = {conf->hmac_key, conf->audience, conf->issuer};
    struct buf token = BUF_EMPTY;
    int r = 0;

    if (strlen(conf->hmac_key) < JWT_KEY_MIN) {
        fprintf(stderr, "warren-gateway token: no key of 32 bytes or more: set [auth] hmac_key or "
                        "WARREN_AUTH_HMAC_KEY\n");
        return EXIT_FAILED;
    }
    if (jwt_mint(&key, o->user, o->name != NULL ? o->name : "", o->roles, o->role_count,
                 o->ttl_ms / 1000, clock_wall_ms() / 1000, &token) != 0) {
        fprintf(stderr, "warren-gateway token: user, name and roles must be UTF-8 without control "
                        "characters, the name at most 128 bytes\n");
        r = EXIT_FAILED;
    } else if (printf("%.*s\n", (int)token.size, token.at) < 0 || fflush(stdout) != 0) {
        fprintf(stderr, "warren-gateway token: cannot write the token\n");
        r = EXIT_FAILED;
    }
    buf_deinit(&token);
    return r;
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
    r = print_token(&conf, &order);
    gateway_conf_free(&conf);
    return r;
}
