/*
 * main.c: arguments, settings, the loop and the signals; nothing else.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/service.h"
#include "gateway/edge/edge.h"
#include "gateway/gateway.h"
#include "gateway/libraries.h"
#include "gateway/reload.h"
#include "gateway/token/token.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void usage(FILE *out)
{
    fputs("usage: warren-gateway [--config FILE] [--check-config]\n"
          "       warren-gateway token --user NAME [--name TEXT] [--role ROLE]... [--ttl 1h]\n"
          "       warren-gateway --help | --limits | --version\n"
          "\n"
          "Terminates WebSockets, authenticates, and exchanges messages with RabbitMQ.\n"
          "Settings come from FILE (INI) and the environment (WARREN_<SECTION>_<KEY>).\n"
          "--limits prints every limit, its default, and what whoever meets it gets.\n"
          "SIGHUP reads keys, certificates, origins, hooks, rules of rooms, what is limited for\n"
          "sessions and users, and the level of the log anew.\n"
          "SIGTERM or SIGINT ends sessions over [gateway] drain; a second one ends at once.\n",
          out);
}

static void help(void)
{
    usage(stdout);
    puts("\nSettings:");
    fflush(stdout);
    gateway_conf_print();
}

static void on_end_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct gateway *g = watcher->data;

    (void)loop;
    (void)events;
    if (g->is_leaving) {
        log_warn("gateway ends at once");
        _exit(EXIT_FAILED);
    }
    gateway_drain(g);
}

/* What SIGHUP reads anew. */
struct source {
    struct gateway *gateway;
    struct gateway_conf *conf;
    const char *path;
};

static void on_reload_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    const struct source *from = watcher->data;

    (void)loop;
    (void)events;
    (void)gateway_reload(from->gateway, from->conf, from->path); /* it has said what is wrong */
}

static int run(struct gateway_conf *conf, const char *path)
{
    static struct gateway gateway;
    struct source source = {&gateway, conf, path};
    struct ev_loop *loop = loop_new();
    ev_signal term, interrupt, reload;
    int status = EXIT_FAILED;

    signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&term, on_end_signal, SIGTERM);
    ev_signal_init(&interrupt, on_end_signal, SIGINT);
    term.data = interrupt.data = &gateway;
    ev_signal_start(loop, &term);
    ev_signal_start(loop, &interrupt);
    (void)signal(SIGHUP, SIG_IGN); /* until everything is there */
    if (gateway_start(&gateway, conf, loop) == 0) {
        ev_signal_init(&reload, on_reload_signal, SIGHUP);
        reload.data = &source;
        ev_signal_start(loop, &reload);
        ev_run(loop, 0);
        ev_signal_stop(loop, &reload);
        status = gateway.has_failed ? EXIT_FAILED : EXIT_OK;
    }
    gateway_stop(&gateway);
    ev_signal_stop(loop, &term);
    ev_signal_stop(loop, &interrupt);
    ev_loop_destroy(loop);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},         {"limits", no_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    bool check = false;
    int option;

    libraries_init();
    if (argc > 1 && strcmp(argv[1], "token") == 0) {
        return token_main(argc - 1, argv + 1);
    }
    while ((option = getopt_long(argc, argv, "c:hv", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'h':
            help();
            return EXIT_OK;
        case 'l':
            limit_table_print(&gateway_limits);
            return EXIT_OK;
        case 'v':
            puts("warren-gateway " WARREN_VERSION);
            return EXIT_OK;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "warren-gateway: unexpected argument: %s\n", argv[optind]);
        usage(stderr);
        return EXIT_USAGE;
    }
    struct gateway_conf conf;
    if (gateway_conf_load(&conf, path) != 0) {
        return EXIT_USAGE;
    }
    int status = EXIT_OK;
    if (gateway_conf_check_entry(&conf) != 0) {
        status = EXIT_USAGE;
    } else if (check) {
        if (edge_check(&conf) != 0) {
            status = EXIT_USAGE;
        } else {
            puts("the settings are good");
        }
    } else {
        service_set_log_level(conf.log_level);
        status = run(&conf, path);
    }
    gateway_conf_free(&conf);
    return status;
}
